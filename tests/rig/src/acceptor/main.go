// gateway-acceptor stands in for a Gateway API implementation where there is no data plane: it accepts the HTTPRoutes and GRPCRoutes
// of the Gateways of its class (controllerName stairlock.dev/test-gateway) by writing their status, and passes no traffic.
//
//	Accepted      True; False (NotAllowedByListeners) if the route is annotated test.stairlock.dev/accept: "false"
//	ResolvedRefs  True; False (BackendNotFound) if a backend Service does not exist
//
// A route annotated test.stairlock.dev/accept: "ignore" is not looked at: its status stays as it is.
package main

import (
	"context"
	"log"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"rig/kube"
)

const (
	controller = "stairlock.dev/test-gateway"
	annotation = "test.stairlock.dev/accept"
)

type obj = kube.Obj

func gateway(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: resource}
}

func main() {
	k := kube.Connect()
	classes, gateways := k.Watch(gateway("gatewayclasses")), k.Watch(gateway("gateways"))
	routes := map[string]func() []*unstructured.Unstructured{}
	for _, resource := range []string{"httproutes", "grpcroutes"} {
		routes[resource] = k.Watch(gateway(resource))
	}
	services := k.Watch(schema.GroupVersionResource{Version: "v1", Resource: "services"})
	k.Run(time.Second, func(ctx context.Context) {
		ours := map[string]bool{}
		for _, c := range classes() {
			if kube.Field(c, "spec", "controllerName") == controller {
				ours[c.GetName()] = true
				write(ctx, k, "gatewayclasses", c, func(status obj, generation int64) {
					status["conditions"] = conditions(status, generation, "Accepted")
				})
			}
		}
		mine := map[string]bool{}
		for _, g := range gateways() {
			if ours[kube.Field(g, "spec", "gatewayClassName")] {
				mine[g.GetNamespace()+"/"+g.GetName()] = true
				write(ctx, k, "gateways", g, func(status obj, generation int64) {
					status["conditions"] = conditions(status, generation, "Accepted", "Programmed")
				})
			}
		}
		exists := map[string]bool{}
		for _, s := range services() {
			exists[s.GetNamespace()+"/"+s.GetName()] = true
		}
		for resource, all := range routes {
			for _, r := range all() {
				if r.GetAnnotations()[annotation] != "ignore" {
					route(ctx, k, resource, r, mine, exists)
				}
			}
		}
	})
}

// route writes our entries of status.parents and leaves those of other controllers alone.
func route(ctx context.Context, k *kube.Kube, resource string, r *unstructured.Unstructured, mine, exists map[string]bool) {
	ns := r.GetNamespace()
	refs, _, _ := unstructured.NestedSlice(r.Object, "spec", "parentRefs")
	missing := missingBackend(r, exists)
	write(ctx, k, resource, r, func(status obj, generation int64) {
		old, _ := status["parents"].([]any)
		parents := []any{}
		for _, p := range old {
			if p.(obj)["controllerName"] != controller {
				parents = append(parents, p)
			}
		}
		for _, ref := range refs {
			ref := ref.(obj)
			if or(ref["kind"], "Gateway") != "Gateway" || !mine[or(ref["namespace"], ns)+"/"+or(ref["name"], "")] {
				continue
			}
			var was []any
			for _, p := range old {
				if p := p.(obj); p["controllerName"] == controller && equality.Semantic.DeepEqual(p["parentRef"], ref) {
					was, _ = p["conditions"].([]any)
				}
			}
			accepted := kube.Condition(was, generation, "Accepted", "True", "Accepted", "route accepted")
			if r.GetAnnotations()[annotation] == "false" {
				accepted = kube.Condition(was, generation, "Accepted", "False", "NotAllowedByListeners", "refused by the annotation "+annotation)
			}
			resolved := kube.Condition(was, generation, "ResolvedRefs", "True", "ResolvedRefs", "all references resolved")
			if missing != "" {
				resolved = kube.Condition(was, generation, "ResolvedRefs", "False", "BackendNotFound", "Service "+missing+" not found")
			}
			parents = append(parents, obj{"parentRef": ref, "controllerName": controller, "conditions": []any{accepted, resolved}})
		}
		if len(parents) > 0 || len(old) > 0 {
			status["parents"] = parents
		}
	})
}

// missingBackend names the first backend Service that does not exist.
func missingBackend(r *unstructured.Unstructured, exists map[string]bool) string {
	rules, _, _ := unstructured.NestedSlice(r.Object, "spec", "rules")
	for _, rule := range rules {
		backends, _ := rule.(obj)["backendRefs"].([]any)
		for _, b := range backends {
			b := b.(obj)
			name := or(b["namespace"], r.GetNamespace()) + "/" + or(b["name"], "")
			if or(b["kind"], "Service") == "Service" && !exists[name] {
				return name
			}
		}
	}
	return ""
}

// conditions returns the status' conditions with these set to True.
func conditions(status obj, generation int64, kinds ...string) []any {
	old, _ := status["conditions"].([]any)
	var out []any
	for _, kind := range kinds {
		out = append(out, kube.Condition(old, generation, kind, "True", kind, "served by gateway-acceptor"))
	}
	return out
}

// write changes the status, and the server's copy only if something changed. A conflict is met again at the next change.
func write(ctx context.Context, k *kube.Kube, resource string, u *unstructured.Unstructured, change func(status obj, generation int64)) {
	before := u.DeepCopy()
	status, _ := u.Object["status"].(obj)
	if status == nil {
		status = obj{}
	}
	change(status, u.GetGeneration())
	u.Object["status"] = status
	if was, _ := before.Object["status"].(obj); len(status) == 0 && len(was) == 0 || equality.Semantic.DeepEqual(was, status) {
		return
	}
	answer, err := k.Resource(gateway(resource)).Namespace(u.GetNamespace()).UpdateStatus(ctx, u, metav1.UpdateOptions{})
	if err != nil {
		log.Print(err)
		return
	}
	k.Wrote(answer)
}

func or(v any, otherwise string) string {
	if s, ok := v.(string); ok && s != "" {
		return s
	}
	return otherwise
}
