package queue_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var refused = transport.Outcome{Reply: transport.Replyf(550, "5.1.1", "no such user here"), Host: "mx.far.test"}

func TestABounceIsSentThoughTheOriginalCannotBeRead(t *testing.T) {
	for name, damage := range map[string]func(*testing.T, *queue.Queue){
		"gone": func(t *testing.T, q *queue.Queue) { fill(t, q, `DELETE FROM panelmail_content`) },
		"cut":  func(t *testing.T, q *queue.Queue) { fill(t, q, `DELETE FROM panelmail_chunk WHERE part = 0`) },
		"bad":  func(_ *testing.T, q *queue.Queue) { queue.Unreadable(q) },
	} {
		path := newPath(t)
		synctest.Test(t, func(t *testing.T) {
			var told []queue.Event
			q := open(t, path, queue.Options{Poll: -1, Observe: func(events []queue.Event) {
				told = append(told, events...)
			}})
			defer q.Close()
			enqueue(t, q, strings.Repeat("0123456789\r\n", 300_000/12))
			damage(t, q)
			tries := 0
			run(t, q, func(d *transport.Delivery) transport.Report {
				if d.Origin.Via == transport.ViaBounce {
					return d.All(transport.Outcome{Hold: true})
				}
				tries++
				return d.All(refused)
			})
			time.Sleep(time.Hour)
			synctest.Wait()
			var report string
			for _, e := range told {
				if e.Kind == queue.Failed {
					report = e.Report
				}
			}
			if left := ids(t, q); tries != 1 || len(left) != 1 || left[0] != report {
				t.Errorf("%s: %d attempts, then in the queue %v, report %q", name, tries, left, report)
			}
			if name == "bad" {
				return // so is the report
			}
			r, err := q.Content(t.Context(), report)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(r); err != nil || !strings.Contains(string(text), "550 5.1.1 no such user here") {
				t.Errorf("%s: report %q, error %v", name, text, err)
			}
		})
	}
}
