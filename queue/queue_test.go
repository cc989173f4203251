package queue_test

import (
	"path/filepath"
	"testing"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/queue/queuetest"
)

func TestConformance(t *testing.T) {
	queuetest.Test(t, func(t testing.TB, o queue.Options) *queue.Queue {
		return open(t, filepath.Join(t.TempDir(), "q", "queue.db"), o)
	})
}

func open(t testing.TB, path string, o queue.Options) *queue.Queue {
	t.Helper()
	q, err := queue.Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	return q
}
