// backend is the application that the rig releases: an HTTP server that says which version it is.
// Standard library only, so that it makes a one-file image.
//
//	ADDR     listen address (default :8080)
//	VERSION  what it answers (default dev)
//	BAD      1: /readyz never answers 200; so does a VERSION that contains "bad"
//	DRAIN    time to go on serving after SIGTERM, until the routers have noticed (default 0s)
//	DELAY    added latency (default 0s)
//
// /long?for=4s writes a piece of its answer every 100 ms for that time. gRPC is spoken without TLS on the same address:
// grpc.health.v1.Health has Check, and Watch, which tells the same every 100 ms for 4 s.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// How long one answer lasts at most.
const longest = time.Minute

// A HealthCheckResponse that says SERVING, with the five bytes that gRPC puts before a message.
var serving = []byte{0, 0, 0, 0, 2, 8, 1}

func main() {
	version := env("VERSION", "dev")
	bad := os.Getenv("BAD") == "1" || strings.Contains(version, "bad")
	drain, delay := duration("DRAIN"), duration("DELAY")
	pod, _ := os.Hostname()
	answer, err := json.Marshal(map[string]string{"version": version, "pod": env("POD_NAME", pod)})
	if err != nil {
		log.Fatal(err)
	}
	var leaving atomic.Bool

	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if bad || leaving.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(delay)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Version", version)
		w.Write(append(answer, '\n'))
	})

	mux.HandleFunc("/long", func(w http.ResponseWriter, r *http.Request) {
		lasts, err := time.ParseDuration(r.URL.Query().Get("for"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("X-Version", version)
		for end := time.Now().Add(min(lasts, longest)); time.Now().Before(end); {
			w.Write([]byte(".\n"))
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})

	health := func(lasts time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			w.Header().Set("X-Version", version)
			for end := time.Now().Add(lasts); ; time.Sleep(100 * time.Millisecond) {
				w.Write(serving)
				w.(http.Flusher).Flush()
				if r.Context().Err() != nil || !time.Now().Before(end) {
					break
				}
			}
			w.Header().Set("Grpc-Status", "0")
		}
	}
	mux.HandleFunc("POST /grpc.health.v1.Health/Check", health(0))
	mux.HandleFunc("POST /grpc.health.v1.Health/Watch", health(4*time.Second))

	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{Protocols: &protocols, Addr: env("ADDR", ":8080"), Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	left := make(chan struct{})
	go func() { // finish what is being served, then leave with status 0
		defer close(left)
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM, syscall.SIGINT)
		<-c
		leaving.Store(true)
		time.Sleep(drain)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		srv.Shutdown(ctx)
	}()
	log.Printf("version %s on %s, bad=%t", version, srv.Addr, bad)
	if err := srv.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-left
}

func env(key, otherwise string) string {
	if v := os.Getenv(key); v != "" {
		return v
	}
	return otherwise
}

func duration(key string) time.Duration {
	d, err := time.ParseDuration(env(key, "0s"))
	if err != nil {
		log.Fatalf("%s: %v", key, err)
	}
	return d
}
