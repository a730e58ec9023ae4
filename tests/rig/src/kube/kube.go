// Package kube is what the rig's small controllers share: a client, informers and conditions.
package kube

import (
	"context"
	"flag"
	"log"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// Obj is a JSON object.
type Obj = map[string]any

// Kube is a client with informers that wake one loop.
type Kube struct {
	dynamic.Interface
	factory dynamicinformer.DynamicSharedInformerFactory
	wake    chan struct{}
	written map[string]*unstructured.Unstructured // by uid
}

// Connect reads -kubeconfig (after the program's own flags are defined).
func Connect() *Kube {
	kubeconfig := flag.String("kubeconfig", "", "path")
	flag.Parse()
	cfg, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	cfg.QPS, cfg.Burst = 500, 1000
	client := dynamic.NewForConfigOrDie(cfg)
	return &Kube{client, dynamicinformer.NewDynamicSharedInformerFactory(client, 0), make(chan struct{}, 1), map[string]*unstructured.Unstructured{}}
}

// Watch returns a function that lists the watched objects; every change of one wakes the loop.
func (k *Kube) Watch(gvr schema.GroupVersionResource) func() []*unstructured.Unstructured {
	wake := func() {
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
	inf := k.factory.ForResource(gvr).Informer()
	inf.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { wake() },
		UpdateFunc: func(any, any) { wake() },
		DeleteFunc: func(any) { wake() },
	})
	return func() (out []*unstructured.Unstructured) {
		for _, o := range inf.GetStore().List() {
			u := o.(*unstructured.Unstructured)
			// what we wrote ourselves counts until the watch has caught up with it
			if w, ok := k.written[string(u.GetUID())]; ok {
				if version(u) < version(w) {
					u = w
				} else {
					delete(k.written, string(u.GetUID()))
				}
			}
			out = append(out, u.DeepCopy())
		}
		return out
	}
}

// Run calls step after every change, and at least once in each interval.
func (k *Kube) Run(interval time.Duration, step func(context.Context)) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	k.factory.Start(ctx.Done())
	k.factory.WaitForCacheSync(ctx.Done())
	for tick := time.NewTicker(interval); ; {
		step(ctx)
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-tick.C:
		}
	}
}

// Wrote remembers the answer to a write.
func (k *Kube) Wrote(u *unstructured.Unstructured) { k.written[string(u.GetUID())] = u }

func version(u *unstructured.Unstructured) uint64 {
	n, _ := strconv.ParseUint(u.GetResourceVersion(), 10, 64)
	return n
}

// Field returns the string at a path, or "".
func Field(u *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(u.Object, path...)
	return s
}

// Condition returns a condition of the object's generation. The time of the last transition is taken over from the
// condition of that type in old, if it had this status.
func Condition(old []any, generation int64, kind, status, reason, message string) Obj {
	c := Obj{"type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": generation, "lastTransitionTime": Now()}
	for _, o := range old {
		if o, ok := o.(Obj); ok && o["type"] == kind && o["status"] == status {
			c["lastTransitionTime"] = o["lastTransitionTime"]
		}
	}
	return c
}

// Now is the time as the API has it.
func Now() string { return time.Now().UTC().Format(time.RFC3339) }
