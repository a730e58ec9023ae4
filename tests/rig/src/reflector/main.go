// reflector stands in for Flux's image-reflector-controller in tests, whose program cannot be built from the Go module
// proxy: it lists the tags of each ImageRepository in its registry and writes the status of ImageRepositories and
// ImagePolicies as reflector 1.2 does: latestRef, observedPreviousRef, observedGeneration and the conditions with their
// reasons and messages. Differences: it scans several times a second whatever spec.interval says, it writes nothing while
// nothing changes (the original renews scanTime), it adds no finalizer, and it knows no credentials.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/adler32"
	"log"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"rig/kube"
)

type obj = kube.Obj

func image(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "image.toolkit.fluxcd.io", Version: "v1", Resource: resource}
}

// reflector remembers what the original keeps in its database: the tags of each image at its last good scan.
type reflector struct {
	*kube.Kube
	tags    map[string][]string  // by canonical image name
	fetched map[string]time.Time // when a policy with digestReflectionPolicy Always last asked for its digest, by uid
	due     time.Time            // of the next scan of all repositories
	raw     map[string][]string  // what the registry answered in this round, by image
}

func main() {
	every := flag.Duration("interval", 300*time.Millisecond, "time between scans")
	k := &reflector{Kube: kube.Connect(), tags: map[string][]string{}, fetched: map[string]time.Time{}}
	repositories, policies := k.Watch(image("imagerepositories")), k.Watch(image("imagepolicies"))
	namespaces := k.Watch(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	k.Run(*every, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		repos := map[string]*unstructured.Unstructured{}
		start := time.Now()
		all := start.After(k.due)
		k.raw = map[string][]string{}
		for _, r := range repositories() {
			if !suspended(r) && (all || changed(r)) {
				k.scan(ctx, r)
			}
			repos[r.GetNamespace()+"/"+r.GetName()] = r
		}
		if all { // hundreds of repositories may not eat the machine: a tenth of the time at most
			k.due = time.Now().Add(max(*every, 9*time.Since(start)) - *every/2)
		}
		labels := map[string]map[string]string{}
		for _, n := range namespaces() {
			labels[n.GetName()] = n.GetLabels()
		}
		for _, p := range policies() {
			if !suspended(p) {
				k.reconcile(ctx, p, repos, labels)
			}
		}
	})
}

// scan lists a repository's tags.
func (k *reflector) scan(ctx context.Context, r *unstructured.Unstructured) {
	ref, err := repository(r)
	if err != nil {
		k.write(ctx, "imagerepositories", r, outcome{stalled: true, reason: "ImageURLInvalid", message: err.Error()}, nil)
		return
	}
	tags, err := k.list(ctx, ref)
	if err == nil {
		tags, err = exclude(r, tags)
	}
	if err != nil {
		k.write(ctx, "imagerepositories", r, outcome{retry: true, reason: "ReadOperationFailed", message: "scan failed: " + err.Error()}, nil)
		return
	}
	k.tags[ref.Name()] = tags
	latest := slices.Clone(tags)
	slices.Sort(latest)
	revision := fmt.Sprint(adler32.Checksum([]byte(strings.Join(latest, "\n"))))
	slices.Reverse(latest)
	k.write(ctx, "imagerepositories", r, outcome{ready: true, message: fmt.Sprintf("successful scan: found %d tags with checksum %s", len(tags), revision)},
		func(status obj) {
			status["canonicalImageName"] = ref.Name()
			if old, _ := status["lastScanResult"].(obj); old == nil || old["revision"] != revision {
				status["lastScanResult"] = obj{"tagCount": int64(len(tags)), "revision": revision, "scanTime": kube.Now(),
					"latestTags": anys(latest[:min(len(latest), 10)])}
			}
		})
}

// changed tells whether a repository has to be scanned now.
func changed(r *unstructured.Unstructured) bool {
	return !judged(r) || r.GetAnnotations()["reconcile.fluxcd.io/requestedAt"] != kube.Field(r, "status", "lastHandledReconcileAt")
}

// list asks the registry, once a round for each image. What repositories leave out is theirs.
func (k *reflector) list(ctx context.Context, ref name.Repository) ([]string, error) {
	tags, ok := k.raw[ref.Name()]
	if !ok {
		var err error
		if tags, err = remote.List(ref, remote.WithContext(ctx)); err != nil {
			return nil, err
		}
		k.raw[ref.Name()] = tags
	}
	return slices.Clone(tags), nil
}

func repository(r *unstructured.Unstructured) (name.Repository, error) {
	s := kube.Field(r, "spec", "image")
	if strings.Contains(s, "://") {
		return name.Repository{}, fmt.Errorf(".spec.image value should not start with URL scheme; remove '%s://'", strings.SplitN(s, "://", 2)[0])
	}
	var opts []name.Option
	if insecure, _, _ := unstructured.NestedBool(r.Object, "spec", "insecure"); insecure {
		opts = append(opts, name.Insecure)
	}
	return name.NewRepository(s, opts...)
}

func exclude(r *unstructured.Unstructured, tags []string) ([]string, error) {
	list, _, _ := unstructured.NestedStringSlice(r.Object, "spec", "exclusionList")
	for _, pattern := range list {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("failed to compile regex %s: %w", pattern, err)
		}
		tags = slices.DeleteFunc(tags, re.MatchString)
	}
	return tags, nil
}

// reconcile decides one policy.
func (k *reflector) reconcile(ctx context.Context, p *unstructured.Unstructured, repos map[string]*unstructured.Unstructured, labels map[string]map[string]string) {
	reflection := kube.Field(p, "spec", "digestReflectionPolicy")
	every, intervalErr := time.ParseDuration(kube.Field(p, "spec", "interval"))
	if reflection == "Always" && kube.Field(p, "spec", "interval") == "" {
		k.write(ctx, "imagepolicies", p, outcome{stalled: true, reason: "IntervalNotConfigured",
			message: "spec.interval must be set when spec.digestReflectionPolicy is set to 'Always'"}, nil)
		return
	}
	if seen, ok, _ := unstructured.NestedInt64(p.Object, "status", "observedGeneration"); !ok || seen != p.GetGeneration() {
		if !k.progressing(ctx, p, seen, ok) {
			return
		}
	}
	fail := func(o outcome, err error) {
		o.message = err.Error()
		k.write(ctx, "imagepolicies", p, o, nil)
	}

	repo, reason, err := refer(p, repos, labels)
	if err != nil {
		fail(outcome{retry: true, reason: reason}, fmt.Errorf("failed to get the referred ImageRepository: %w", err))
		return
	}
	ref, err := repository(repo)
	if err != nil {
		fail(outcome{stalled: true, reason: "ImageURLInvalid"}, err)
		return
	}
	choose, err := policer(p)
	if err != nil {
		fail(outcome{stalled: true, reason: "InvalidPolicy"}, fmt.Errorf("invalid policy: %w", err))
		return
	}
	tags := k.tags[ref.Name()]
	if len(tags) == 0 || kube.Field(repo, "status", "canonicalImageName") == "" {
		fail(outcome{reason: "DependencyNotReady"}, errors.New("no tags in database"))
		return
	}
	tags, original, err := filter(p, tags)
	if err != nil {
		fail(outcome{stalled: true, reason: "InvalidPolicy"}, fmt.Errorf("failed to filter tags: %w", err))
		return
	}
	tag, err := choose(tags)
	if err != nil {
		fail(outcome{retry: true, reason: "Failed"}, err)
		return
	}
	if o, ok := original[tag]; ok {
		tag = o
	}

	latest := obj{"name": kube.Field(repo, "spec", "image"), "tag": tag}
	was, _, _ := unstructured.NestedMap(p.Object, "status", "latestRef")
	same := was != nil && was["name"] == latest["name"] && was["tag"] == latest["tag"] && was["digest"] != nil
	uid := string(p.GetUID())
	switch {
	case reflection == "IfNotPresent" && same,
		reflection == "Always" && same && (intervalErr != nil || time.Since(k.fetched[uid]) < every):
		latest["digest"] = was["digest"]
	case reflection == "IfNotPresent" || reflection == "Always":
		desc, err := remote.Head(ref.Tag(tag), remote.WithContext(ctx))
		if err != nil {
			fail(outcome{retry: true, reason: "Failed"}, fmt.Errorf("failed fetching digest of %s:%s: %w", latest["name"], tag, err))
			return
		}
		latest["digest"] = desc.Digest.String()
		k.fetched[uid] = time.Now()
	}
	moved := !equality.Semantic.DeepEqual(was, latest)
	previous, _, _ := unstructured.NestedMap(p.Object, "status", "observedPreviousRef")
	if moved && was != nil {
		previous = was
	}
	k.write(ctx, "imagepolicies", p, outcome{ready: true, message: readyMessage(latest, previous)}, func(status obj) {
		status["latestRef"] = latest
		if previous != nil {
			status["observedPreviousRef"] = previous
		}
	})
}

// progressing is the write that the original makes when it meets a new generation.
func (k *reflector) progressing(ctx context.Context, p *unstructured.Unstructured, seen int64, known bool) bool {
	status := statusOf(p)
	old, _ := status["conditions"].([]any)
	if !known {
		seen = 0
	}
	if judged(p) { // it is being retried: the conditions say why
		return true
	}
	message := fmt.Sprintf("processing object: new generation %d -> %d", seen, p.GetGeneration())
	conditions := []any{kube.Condition(old, p.GetGeneration(), "Reconciling", "True", "Progressing", message)}
	if ready := find(old, "Ready"); ready != nil {
		conditions = append(conditions, ready)
	} else {
		conditions = append(conditions, kube.Condition(old, p.GetGeneration(), "Ready", "Unknown", "Progressing", message))
	}
	status["conditions"] = conditions
	return k.update(ctx, "imagepolicies", p, status)
}

func refer(p *unstructured.Unstructured, repos map[string]*unstructured.Unstructured, labels map[string]map[string]string) (*unstructured.Unstructured, string, error) {
	ns, ref := p.GetNamespace(), kube.Field(p, "spec", "imageRepositoryRef", "name")
	if other := kube.Field(p, "spec", "imageRepositoryRef", "namespace"); other != "" {
		ns = other
	}
	repo := repos[ns+"/"+ref]
	if repo == nil {
		return nil, "DependencyNotReady", fmt.Errorf("referenced ImageRepository does not exist: ImageRepository.image.toolkit.fluxcd.io \"%s\" not found", ref)
	}
	if ns == p.GetNamespace() {
		return repo, "", nil
	}
	selectors, ok, _ := unstructured.NestedSlice(repo.Object, "spec", "accessFrom", "namespaceSelectors")
	if !ok {
		return nil, "AccessDenied", fmt.Errorf("access denied: '%s/%s' can't be accessed due to missing access list", ns, ref)
	}
	for _, s := range selectors {
		want, _, _ := unstructured.NestedStringMap(s.(obj), "matchLabels")
		if matches(want, labels[p.GetNamespace()]) {
			return repo, "", nil
		}
	}
	return nil, "AccessDenied", fmt.Errorf("access denied: '%s/%s' can't be accessed due to labels mismatch on namespace '%s'", ns, ref, p.GetNamespace())
}

func matches(want, have map[string]string) bool {
	for key, value := range want {
		if got, ok := have[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// filter applies spec.filterTags: the strings to order by, and the tag that each stands for.
func filter(p *unstructured.Unstructured, tags []string) ([]string, map[string]string, error) {
	if _, ok, _ := unstructured.NestedMap(p.Object, "spec", "filterTags"); !ok {
		return tags, nil, nil
	}
	pattern, extract := kube.Field(p, "spec", "filterTags", "pattern"), kube.Field(p, "spec", "filterTags", "extract")
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, nil, fmt.Errorf("invalid regular expression pattern '%s': %w", pattern, err)
	}
	var out []string
	original := map[string]string{}
	for _, tag := range tags {
		m := re.FindStringSubmatchIndex(tag)
		if m == nil {
			continue
		}
		s := tag
		if extract != "" {
			s = string(re.ExpandString(nil, extract, tag, m))
		}
		out, original[s] = append(out, s), tag
	}
	return out, original, nil
}

// policer returns the function that picks the latest of some tags.
func policer(p *unstructured.Unstructured) (func([]string) (string, error), error) {
	order := func(kind string) (bool, error) {
		s := kube.Field(p, "spec", "policy", kind, "order")
		if s != "" && s != "asc" && s != "desc" {
			return false, fmt.Errorf("invalid order argument provided: '%s', must be one of: asc, desc", s)
		}
		return s == "desc", nil
	}
	has := func(kind string) bool {
		_, ok, _ := unstructured.NestedMap(p.Object, "spec", "policy", kind)
		return ok
	}
	var pick func([]string) (string, error)
	switch {
	case has("semver"):
		in, err := semver.NewConstraint(kube.Field(p, "spec", "policy", "semver", "range"))
		if err != nil {
			return nil, err
		}
		pick = func(tags []string) (string, error) { return highest(in, tags) }
	case has("alphabetical"):
		desc, err := order("alphabetical")
		if err != nil {
			return nil, err
		}
		pick = func(tags []string) (string, error) {
			if desc {
				return slices.Min(tags), nil
			}
			return slices.Max(tags), nil
		}
	case has("numerical"):
		desc, err := order("numerical")
		if err != nil {
			return nil, err
		}
		pick = func(tags []string) (string, error) { return greatest(desc, tags) }
	default:
		return nil, errors.New("given ImagePolicyChoice object is invalid")
	}
	return func(tags []string) (string, error) {
		if len(tags) == 0 {
			return "", errors.New("version list argument cannot be empty")
		}
		return pick(tags)
	}, nil
}

// highest returns the tag of the highest version in the range; a tag needs three parts, a leading v is allowed.
func highest(in *semver.Constraints, tags []string) (string, error) {
	var best *semver.Version
	for _, tag := range tags {
		if _, err := semver.StrictNewVersion(strings.TrimPrefix(tag, "v")); err != nil {
			continue
		}
		if v, err := semver.NewVersion(tag); err == nil && in.Check(v) && (best == nil || v.GreaterThan(best)) {
			best = v
		}
	}
	if best == nil {
		return "", errors.New("unable to determine latest version from provided list")
	}
	return best.Original(), nil
}

func greatest(desc bool, tags []string) (string, error) {
	best, tag := 0.0, ""
	for _, t := range tags {
		n, err := strconv.ParseFloat(t, 64)
		if err != nil {
			return "", fmt.Errorf("failed to parse invalid numeric value '%s'", t)
		}
		if tag == "" || (n > best) != desc && n != best {
			best, tag = n, t
		}
	}
	return tag, nil
}

func readyMessage(latest, previous obj) string {
	s := fmt.Sprintf("Latest image tag for %s resolved to %s", latest["name"], latest["tag"])
	if d := latest["digest"]; d != nil {
		s += fmt.Sprintf(" with digest %s", d)
	}
	if previous != nil && !equality.Semantic.DeepEqual(previous, latest) {
		s += fmt.Sprintf(" (previously %s:%s", previous["name"], previous["tag"])
		if d := previous["digest"]; d != nil {
			s += fmt.Sprintf("@%s", d)
		}
		s += ")"
	}
	return s
}

// outcome is what a reconciliation came to: ready, or not ready and either stalled, being retried, or waiting.
type outcome struct {
	ready, stalled, retry bool
	reason, message       string
}

// write sets the conditions and what change does, and advances observedGeneration only when ready or stalled.
func (k *reflector) write(ctx context.Context, resource string, u *unstructured.Unstructured, o outcome, change func(status obj)) {
	status := statusOf(u)
	old, _ := status["conditions"].([]any)
	generation := u.GetGeneration()
	ready := "False"
	if o.ready {
		ready, o.reason = "True", "Succeeded"
	}
	conditions := []any{}
	switch {
	case o.retry:
		conditions = append(conditions, kube.Condition(old, generation, "Reconciling", "True", "ProgressingWithRetry", "reconciliation in progress"))
	case o.stalled:
		conditions = append(conditions, kube.Condition(old, generation, "Stalled", "True", o.reason, o.message))
	}
	status["conditions"] = append(conditions, kube.Condition(old, generation, "Ready", ready, o.reason, o.message))
	if o.ready || o.stalled {
		status["observedGeneration"] = generation
	}
	if at := u.GetAnnotations()["reconcile.fluxcd.io/requestedAt"]; at != "" {
		status["lastHandledReconcileAt"] = at
	}
	if change != nil {
		change(status)
	}
	k.update(ctx, resource, u, status)
}

// update writes the status if it differs, and leaves the object as the server has it then.
func (k *reflector) update(ctx context.Context, resource string, u *unstructured.Unstructured, status obj) bool {
	if old, _ := u.Object["status"].(obj); equality.Semantic.DeepEqual(old, status) {
		return true
	}
	u.Object["status"] = status
	answer, err := k.Resource(image(resource)).Namespace(u.GetNamespace()).UpdateStatus(ctx, u, metav1.UpdateOptions{})
	if err != nil {
		log.Print(err)
		return false
	}
	k.Wrote(answer)
	u.Object = answer.DeepCopy().Object
	return true
}

func statusOf(u *unstructured.Unstructured) obj {
	status, _ := u.Object["status"].(obj)
	if status == nil {
		return obj{}
	}
	return runtime.DeepCopyJSON(status)
}

// judged tells whether the Ready condition is about the present generation; observedGeneration advances only by success.
func judged(u *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	ready, _ := find(conditions, "Ready").(obj)
	return ready != nil && ready["observedGeneration"] == u.GetGeneration()
}

func find(conditions []any, kind string) any {
	for _, c := range conditions {
		if c.(obj)["type"] == kind {
			return c
		}
	}
	return nil
}

func suspended(u *unstructured.Unstructured) bool {
	b, _, _ := unstructured.NestedBool(u.Object, "spec", "suspend")
	return b
}

func anys(in []string) []any {
	out := make([]any, len(in))
	for i, s := range in {
		out[i] = s
	}
	return out
}
