// Command kstatus prints how kstatus, as Flux's kustomize-controller uses it, reads each of the manifests below. A test
// in src/validate/kstatus.rs compares each row with our own answer.
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for _, kind := range kinds {
		for _, rest := range kind.cases {
			text, err := yaml.YAMLToJSON([]byte("{" + kind.head + rest + "}"))
			if err != nil {
				panic(kind.head + rest + ": " + err.Error())
			}
			var object unstructured.Unstructured
			if err := object.UnmarshalJSON(text); err != nil {
				panic(kind.head + rest + ": " + err.Error())
			}
			answer := "Unknown"
			if result, err := status.Compute(&object); err == nil {
				answer = result.Status.String()
			}
			fmt.Fprintf(out, "%s\t%s\n", answer, text)
		}
	}
}

// What a group of manifests begins with, and what follows in each of them.
type kind struct {
	head  string
	cases []string
}

var kinds = []kind{
	{"apiVersion: apps/v1, kind: Deployment, ", deployments},
	{"apiVersion: extensions/v1beta1, kind: Deployment, ", deployments[:4]},
	{"apiVersion: example.com/v1, kind: Deployment, ", deployments[:4]},
	{"apiVersion: apps/v1, kind: StatefulSet, ", statefulSets},
	{"apiVersion: apps/v1, kind: DaemonSet, ", daemonSets},
	{"apiVersion: apps/v1, kind: ReplicaSet, ", replicaSets},
	{"apiVersion: v1, kind: Pod, ", pods},
	{"apiVersion: batch/v1, kind: Job, ", jobs},
	{"apiVersion: batch/v1, kind: CronJob, ", always},
	{"apiVersion: v1, kind: ConfigMap, ", always},
	{"apiVersion: v1, kind: Secret, ", always},
	{"apiVersion: policy/v1, kind: PodDisruptionBudget, ", always},
	{"apiVersion: v1, kind: PersistentVolumeClaim, ", claims},
	{"apiVersion: v1, kind: Service, ", services},
	{"apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, ", definitions},
	{"apiVersion: example.com/v1, kind: Widget, ", widgets},
	{"apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, ", widgets[:12]},
	{"apiVersion: v1, kind: Namespace, ", namespaces},
	{"apiVersion: v1, kind: ServiceAccount, ", []string{"metadata: {name: a}"}},
}

var deployments = []string{
	"metadata: {generation: 1}, spec: {replicas: 2, progressDeadlineSeconds: 600}, status: {observedGeneration: 1, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2, conditions: [{type: Progressing, status: 'True', reason: NewReplicaSetAvailable}, {type: Available, status: 'True'}]}",
	"metadata: {generation: 2}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2, conditions: [{type: Available, status: 'True'}]}",
	"metadata: {generation: 1}, spec: {replicas: 2, progressDeadlineSeconds: 600}, status: {observedGeneration: 1, replicas: 2, updatedReplicas: 2, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}, {type: Available, status: 'False'}]}",
	"metadata: {generation: 1}",
	"metadata: {generation: 1}, spec: {replicas: 0}, status: {observedGeneration: 1}",
	"metadata: {generation: 1}, spec: {replicas: 0}, status: {observedGeneration: 1, conditions: [{type: Available, status: 'True'}]}",
	"metadata: {generation: 1}, spec: {}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: 'True'}]}",
	"metadata: {generation: 1}, spec: {progressDeadlineSeconds: 2147483647}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: 'True'}]}",
	"metadata: {generation: 1}, spec: {progressDeadlineSeconds: 600}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: 'True'}]}",
	"metadata: {generation: 1}, spec: {progressDeadlineSeconds: 600}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: 'True'}, {type: Progressing, status: 'True', reason: ReplicaSetUpdated}]}",
	"metadata: {generation: 1}, spec: {progressDeadlineSeconds: 600}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: 'True'}, {type: Progressing, status: 'False', reason: NewReplicaSetAvailable}]}",
	"metadata: {generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: 'False'}]}",
	"metadata: {generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1}",
	"metadata: {generation: 1}, spec: {replicas: 3}, status: {observedGeneration: 1, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2, conditions: [{type: Available, status: 'True'}]}",
	"metadata: {generation: 1}, spec: {replicas: 3}, status: {observedGeneration: 1, replicas: 3, updatedReplicas: 2, readyReplicas: 3, availableReplicas: 3, conditions: [{type: Available, status: 'True'}]}",
	"metadata: {generation: 1}, spec: {replicas: 3}, status: {observedGeneration: 1, replicas: 4, updatedReplicas: 3, readyReplicas: 4, availableReplicas: 4, conditions: [{type: Available, status: 'True'}]}",
	"metadata: {generation: 1}, spec: {replicas: 3}, status: {observedGeneration: 1, replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 2, conditions: [{type: Available, status: 'True'}]}",
	"metadata: {generation: 1}, spec: {replicas: 3}, status: {observedGeneration: 1, replicas: 3, updatedReplicas: 3, readyReplicas: 2, availableReplicas: 3, conditions: [{type: Available, status: 'True'}]}",
	"metadata: {generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: 'True'}, {type: Progressing, status: 'True', reason: ProgressDeadlineExceeded}]}",
	"metadata: {generation: 1, deletionTimestamp: '2026-01-02T03:04:05Z'}, spec: {replicas: 1}, status: {observedGeneration: 1}",
	"metadata: {generation: 1}, spec: {replicas: '1'}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: 'True'}]}",
	"metadata: {generation: 1}, spec: {replicas: 1.5}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: 'True'}]}",
	"metadata: {generation: 1}, spec: null, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: 'True'}]}",
	"metadata: {generation: 1}, spec: none, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: 'True'}]}",
	"metadata: {generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, replicas: 1, conditions: [{type: Stalled, status: 'True', message: broken}]}",
	"metadata: {generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: 'True'}, {type: Ready, status: 'False'}]}",
}

var statefulSets = []string{
	"metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, currentReplicas: 2, updatedReplicas: 2, currentRevision: a, updateRevision: a}",
	"metadata: {generation: 2}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, currentReplicas: 2, updatedReplicas: 2, currentRevision: a, updateRevision: a}",
	"metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 1, readyReplicas: 2, currentReplicas: 2}",
	"metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 1, currentReplicas: 2}",
	"metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 3, readyReplicas: 3, currentReplicas: 3}",
	"metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, currentReplicas: 1}",
	"metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, currentReplicas: 2, currentRevision: a, updateRevision: b}",
	"metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, currentReplicas: 2, currentRevision: a}",
	"metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, currentReplicas: 2}",
	"metadata: {generation: 1}, spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 1}}}, status: {observedGeneration: 1, replicas: 3, readyReplicas: 3, currentReplicas: 1, updatedReplicas: 1}",
	"metadata: {generation: 1}, spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 1}}}, status: {observedGeneration: 1, replicas: 3, readyReplicas: 3, currentReplicas: 1, updatedReplicas: 2, currentRevision: a, updateRevision: b}",
	"metadata: {generation: 1}, spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 0}}}, status: {observedGeneration: 1, replicas: 3, readyReplicas: 3, updatedReplicas: 2}",
	"metadata: {generation: 1}, spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 0}}}, status: {observedGeneration: 1, replicas: 3, readyReplicas: 3, updatedReplicas: 3}",
	"metadata: {generation: 1}, spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 9}}}, status: {observedGeneration: 1, replicas: 3, readyReplicas: 3}",
	"metadata: {generation: 1}, spec: {replicas: 3, updateStrategy: {type: OnDelete}}, status: {observedGeneration: 1}",
	"metadata: {generation: 2}, spec: {replicas: 3, updateStrategy: {type: OnDelete}}, status: {observedGeneration: 1}",
	"metadata: {generation: 1}, spec: {replicas: 0}, status: {observedGeneration: 1, replicas: 0}",
	"metadata: {generation: 1}, spec: {}",
	"metadata: {generation: 1}, spec: {}, status: {replicas: 1, readyReplicas: 1, currentReplicas: 1}",
}

var daemonSets = []string{
	"metadata: {generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 2, currentNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2, numberReady: 2}",
	"metadata: {generation: 2}, status: {observedGeneration: 1, desiredNumberScheduled: 2, currentNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2, numberReady: 2}",
	"metadata: {generation: 1}, status: {desiredNumberScheduled: 2, currentNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2, numberReady: 2}",
	"metadata: {name: a}, status: {observedGeneration: 1, desiredNumberScheduled: 2, currentNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2, numberReady: 2}",
	"metadata: {generation: 1}, status: {observedGeneration: 1}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 0}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 2, currentNumberScheduled: 1, updatedNumberScheduled: 2, numberAvailable: 2, numberReady: 2}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 2, currentNumberScheduled: 2, updatedNumberScheduled: 1, numberAvailable: 2, numberReady: 2}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 2, currentNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1, numberReady: 2}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 2, currentNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2, numberReady: 1}",
	"metadata: {generation: 1}",
}

var replicaSets = []string{
	"metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, availableReplicas: 2, fullyLabeledReplicas: 2}",
	"metadata: {generation: 2}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, availableReplicas: 2, fullyLabeledReplicas: 2}",
	"metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, availableReplicas: 2, fullyLabeledReplicas: 2, conditions: [{type: ReplicaFailure, status: 'True'}]}",
	"metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, availableReplicas: 2, fullyLabeledReplicas: 2, conditions: [{type: ReplicaFailure, status: 'False'}]}",
	"metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, availableReplicas: 2, fullyLabeledReplicas: 1}",
	"metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 2, availableReplicas: 1, fullyLabeledReplicas: 2}",
	"metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, readyReplicas: 1, availableReplicas: 2, fullyLabeledReplicas: 2}",
	"metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 3, readyReplicas: 2, availableReplicas: 2, fullyLabeledReplicas: 2}",
	"metadata: {generation: 1}, spec: {replicas: 0}, status: {observedGeneration: 1}",
	"metadata: {generation: 1}, spec: {}",
}

var pods = []string{
	"metadata: {name: a}, status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}",
	"metadata: {name: a}, status: {phase: Running, conditions: [{type: Ready, status: 'False'}]}",
	"metadata: {name: a}, status: {phase: Running}",
	"metadata: {name: a}, status: {phase: Running, containerStatuses: [{name: app, state: {waiting: {reason: CrashLoopBackOff}}}]}",
	"metadata: {name: a}, status: {phase: Running, conditions: [{type: Ready, status: 'True'}], containerStatuses: [{name: app, state: {waiting: {reason: CrashLoopBackOff}}}]}",
	"metadata: {name: a}, status: {phase: Running, containerStatuses: [{name: app, state: {waiting: {reason: ImagePullBackOff}}}]}",
	"metadata: {name: a}, status: {phase: Running, containerStatuses: [{name: app, state: {running: {}}}, {state: {waiting: {reason: CrashLoopBackOff}}}, {name: b}]}",
	"metadata: {name: a}, status: {phase: Running, containerStatuses: none}",
	"metadata: {name: a}, status: {phase: Succeeded}",
	"metadata: {name: a}, status: {phase: Failed}",
	"metadata: {name: a}, status: {phase: Pending}",
	"metadata: {name: a, creationTimestamp: '2020-01-02T03:04:05Z'}, status: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable}]}",
	"metadata: {name: a, creationTimestamp: '2999-01-02T03:04:05Z'}, status: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable}]}",
	"metadata: {name: a}, status: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable}]}",
	"metadata: {name: a, creationTimestamp: '2020-01-02T03:04:05Z'}, status: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: SchedulerError}]}",
	"metadata: {name: a, creationTimestamp: '2020-01-02T03:04:05Z'}, status: {phase: Pending, conditions: [{type: PodScheduled, status: 'True', reason: Unschedulable}]}",
	"metadata: {name: a}, status: {phase: Unknown}",
	"metadata: {name: a}, status: {phase: ''}",
	"metadata: {name: a}",
	"metadata: {name: a, deletionTimestamp: '2026-01-02T03:04:05Z'}, status: {phase: Running}",
}

var jobs = []string{
	"metadata: {generation: 1}, status: {startTime: '2026-01-02T03:04:05Z', active: 1}",
	"metadata: {generation: 1}",
	"metadata: {generation: 1}, status: {startTime: ''}",
	"metadata: {generation: 1}, status: {startTime: '2026-01-02T03:04:05Z', succeeded: 1, conditions: [{type: Complete, status: 'True'}]}",
	"metadata: {generation: 1}, status: {startTime: '2026-01-02T03:04:05Z', failed: 1, conditions: [{type: Failed, status: 'True'}]}",
	"metadata: {generation: 1}, status: {startTime: '2026-01-02T03:04:05Z', failed: 1, conditions: [{type: Failed, status: 'False'}]}",
	"metadata: {generation: 1}, status: {failed: 1, conditions: [{type: Complete, status: 'True'}, {type: Failed, status: 'True'}]}",
	"metadata: {generation: 1}, status: {failed: 1, conditions: [{type: Failed, status: 'True'}, {type: Complete, status: 'True'}]}",
	"metadata: {generation: 1}, status: {conditions: [{type: Suspended, status: 'True'}]}",
}

var always = []string{
	"metadata: {name: a}",
	"metadata: {generation: 2}, status: {observedGeneration: 1}",
	"metadata: {generation: 2}, status: {observedGeneration: 2, conditions: [{type: Ready, status: 'False'}]}",
	"metadata: {name: a, deletionTimestamp: '2026-01-02T03:04:05Z'}",
	"metadata: {name: a}, status: {conditions: [{type: Stalled, status: 'True'}]}",
}

var claims = []string{
	"metadata: {name: a}, status: {phase: Bound}",
	"metadata: {name: a}, status: {phase: Pending}",
	"metadata: {name: a}, status: {phase: Lost}",
	"metadata: {name: a}",
}

var services = []string{
	"metadata: {name: a}, spec: {clusterIP: 10.0.0.1}",
	"metadata: {name: a}, spec: {type: LoadBalancer, clusterIP: 10.0.0.1}",
	"metadata: {name: a}, spec: {type: LoadBalancer}",
	"metadata: {name: a}, spec: {type: LoadBalancer, clusterIP: ''}",
	"metadata: {name: a}, spec: {type: ExternalName}",
	"metadata: {name: a}",
}

var definitions = []string{
	"metadata: {name: a}, status: {conditions: [{type: NamesAccepted, status: 'True'}, {type: Established, status: 'True'}]}",
	"metadata: {name: a}, status: {conditions: [{type: NamesAccepted, status: 'False', reason: Clash}, {type: Established, status: 'True'}]}",
	"metadata: {name: a}, status: {conditions: [{type: Established, status: 'True'}, {type: NamesAccepted, status: 'False', reason: Clash}]}",
	"metadata: {name: a}, status: {conditions: [{type: Established, status: 'False', reason: Installing}]}",
	"metadata: {name: a}, status: {conditions: [{type: Established, status: 'False', reason: NotAccepted}]}",
	"metadata: {name: a}, status: {conditions: [{type: Established, status: 'Unknown'}]}",
	"metadata: {name: a}",
}

var widgets = []string{
	"metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Ready, status: 'True'}]}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Ready, status: 'False', reason: Failed}]}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Ready, status: Unknown}]}",
	"metadata: {generation: 2}, status: {observedGeneration: 1, conditions: [{type: Ready, status: 'True'}]}",
	"metadata: {generation: 1}, status: {observedGeneration: -1}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Stalled, status: 'True'}, {type: Ready, status: 'False'}]}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Reconciling, status: 'True'}, {type: Ready, status: 'True'}]}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Reconciling, status: 'True'}, {type: Stalled, status: 'True'}]}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Stalled, status: 'True'}, {type: Reconciling, status: 'True'}]}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Stalled, status: 'False'}, {type: Reconciling, status: Unknown}]}",
	"metadata: {generation: 1, deletionTimestamp: '2026-01-02T03:04:05Z'}, status: {observedGeneration: 1, conditions: [{type: Ready, status: 'True'}]}",
	"metadata: {name: a}",
	"metadata: {generation: 1, deletionTimestamp: ''}, status: {observedGeneration: 1}",
	"metadata: {generation: 2}, status: {observedGeneration: 1, conditions: [{type: Stalled, status: 'True'}]}",
	"metadata: {generation: 1}, status: {conditions: [{type: Ready, status: 'True'}]}",
	"metadata: {name: a}, status: {observedGeneration: 3, conditions: [{type: Ready, status: 'True'}]}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Ready, status: Odd}]}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Ready, status: Odd}, {type: Ready, status: 'False'}]}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Ready, status: 'True'}, {type: Ready, status: 'False'}]}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: ready, status: 'False'}]}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: Available, status: 'False'}]}",
	"metadata: {generation: 1}, status: {observedGeneration: 1, conditions: []}",
	// What is not as conditions are.
	"metadata: {generation: 1}, status: {observedGeneration: '1'}",
	"metadata: {generation: 1}, status: {observedGeneration: 1.5}",
	"metadata: {generation: 1}, status: {observedGeneration: null}",
	"metadata: {generation: '1'}, status: {observedGeneration: 1}",
	"metadata: {generation: null}, status: {observedGeneration: 1}",
	"metadata: {generation: '1'}",
	"metadata: {generation: 1, deletionTimestamp: 7}",
	"metadata: {generation: 1, deletionTimestamp: null}",
	"metadata: {generation: 1}, status: fine",
	"metadata: {name: a}, status: fine",
	"metadata: {generation: 1}, status: null",
	"metadata: {generation: 1}, status: []",
	"metadata: {name: a}, status: []",
	"metadata: {generation: 1}, status: {conditions: null}",
	"metadata: {generation: 1}, status: {conditions: fine}",
	"metadata: {generation: 1}, status: {conditions: {Ready: 'True'}}",
	"metadata: {generation: 1}, status: {conditions: [fine]}",
	"metadata: {generation: 1}, status: {conditions: [null, {type: Ready, status: 'False'}]}",
	"metadata: {generation: 1}, status: {conditions: [{type: 7, status: 'True'}]}",
	"metadata: {generation: 1}, status: {conditions: [{type: Ready, status: true}]}",
	"metadata: {generation: 1}, status: {conditions: [{type: Ready, status: null}]}",
	"metadata: {generation: 1}, status: {conditions: [{type: Ready, status: 'False', reason: 7}]}",
	"metadata: {generation: 1}, status: {conditions: [{type: Ready, status: 'True', message: [a]}]}",
	"metadata: {generation: 1}, status: {conditions: [{type: Ready, status: 'True', message: null}]}",
	"metadata: {generation: 1}, status: {conditions: [{Type: Ready, Status: 'False'}]}",
	"metadata: {generation: 1}, status: {Conditions: [{type: Ready, status: 'False'}]}",
	"spec: {replicas: 1}",
	"metadata: null, status: {observedGeneration: 1}",
}

var namespaces = []string{
	"metadata: {name: a}, status: {phase: Active}",
	"metadata: {name: a}, status: {phase: Terminating}",
}
