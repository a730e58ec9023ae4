// portal makes addresses inside a network namespace reachable from the machine's own loopback, so that stock kubectl,
// curl and crane can talk to a rig that has a namespace of its own.
//
//	portal /run/netns/NAME LISTEN=TARGET...   such as 127.0.0.1:16440=10.243.0.1:443
package main

import (
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: portal NETNS LISTEN=TARGET...")
	}
	ns, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for _, pair := range os.Args[2:] {
		listen, target, _ := strings.Cut(pair, "=")
		to, err := net.ResolveTCPAddr("tcp", target)
		if err != nil {
			log.Fatal(err)
		}
		l, err := net.Listen("tcp", listen)
		if err != nil {
			log.Fatal(err)
		}
		go serve(l, int(ns.Fd()), to)
	}
	select {}
}

func serve(l net.Listener, ns int, to *net.TCPAddr) {
	for {
		from, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer from.Close()
			conn, err := dial(ns, to)
			if err != nil {
				log.Print(err)
				return
			}
			defer conn.Close()
			go pass(conn, from.(*net.TCPConn))
			pass(from.(*net.TCPConn), conn)
		}()
	}
}

// dial makes the connection on a thread that has gone into the namespace. A socket stays where it was made; the thread
// is never unlocked, so that it ends with its goroutine and nothing else runs in there.
func dial(ns int, to *net.TCPAddr) (conn *net.TCPConn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err = unix.Setns(ns, unix.CLONE_NEWNET); err == nil {
			conn, err = net.DialTCP("tcp", nil, to)
		}
	}()
	<-done
	return conn, err
}

// pass copies one direction and passes its end on.
func pass(to, from *net.TCPConn) {
	io.Copy(to, from)
	to.CloseWrite()
}
