package queue_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/queue/queuetest"
)

// defectVariable makes the conformance test run on a queue with a defect.
const defectVariable = "PANELMAIL_TEST_DEFECT"

func TestConformance(t *testing.T) {
	queuetest.Test(t, func(t testing.TB, o queue.Options) *queue.Queue {
		q := open(t, newPath(t), o)
		queue.Sabotage(q, os.Getenv(defectVariable))
		return q
	})
}

func TestCrashes(t *testing.T) {
	outer := t
	queuetest.TestCrashes(t, func(t testing.TB, o queue.Options) (*queue.Queue, func(queue.Options) *queue.Queue) {
		path := newPath(outer)
		q := open(t, path, o)
		queue.Sabotage(q, os.Getenv(defectVariable))
		return q, func(o queue.Options) *queue.Queue { return open(t, copyOf(outer, path), o) }
	})
}

// TestTheSuiteFindsSeededDefects runs the conformance test in another process on
// queues that break a promise each.
func TestTheSuiteFindsSeededDefects(t *testing.T) {
	if os.Getenv(defectVariable) != "" {
		t.Skip("this is that process")
	}
	for _, c := range []struct{ defect, finder string }{
		{"lost settle", "Conformance/WhatIsDeliveredIsDone"},
		{"lease ignored", "Conformance/NoRecipientIsTriedTwiceAtOnce"},
		{"bounce outside the settle transaction", "Conformance/OutcomeAndBounceCommitTogether"},
		{"attempt written after it was made", "Conformance/TheAttemptIsWrittenBeforeItIsMade"},
		{"newcomers wait for what was claimed", "Conformance/AMessageWaitsForOneOfEachOtherSite"},
		{"priorities are lost", "Conformance/InteractiveMailGoesFirstAndStarvesNobody"},
		{"a claim forgets what is due later", "Conformance/NothingIsSentBeforeItsTime"},
		{"what is claimed together is tried in reverse", "Conformance/MailOfASiteLeavesInTheOrderInWhichItCame"},
		{"lost settle", "Crashes"},
		{"bounce outside the settle transaction", "Crashes"},
		{"acknowledged before it is stored", "Crashes"},
	} {
		t.Run(c.defect+" by "+c.finder, func(t *testing.T) {
			if testing.Short() && c.finder == "Crashes" {
				t.Skip("drives other processes; not with -short")
			}
			cmd := exec.Command(os.Args[0], "-test.timeout=60s", "-test.run=^Test"+strings.ReplaceAll(c.finder, "/", "$/^")+"$")
			cmd.Env = append(os.Environ(), defectVariable+"="+c.defect)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: Test"+c.finder) {
				t.Errorf("the suite did not find it: %v\n%s", err, out)
			}
		})
	}
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "q", "queue.db") }

func open(t testing.TB, path string, o queue.Options) *queue.Queue {
	t.Helper()
	o.CommitDelay = -1
	q, err := queue.Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	return q
}
