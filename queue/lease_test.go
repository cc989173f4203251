package queue_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// TestAClaimWhoseAnswerWasLostIsTakenUpAgain has nobody restart the queue: the
// lease runs out, and the mail is tried.
func TestAClaimWhoseAnswerWasLostIsTakenUpAgain(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		var kinds []queue.Kind
		q := open(t, path, queue.Options{Poll: -1, Observe: func(events []queue.Event) {
			for _, e := range events {
				kinds = append(kinds, e.Kind)
			}
		}})
		defer q.Close()
		queue.Sabotage(q, "the answer to a claim is lost")
		enqueue(t, q, "x\r\n") // before Run: later it would be claimed with that
		run(t, q, func(d *transport.Delivery) transport.Report { return d.All(delivered) })
		time.Sleep(20 * time.Minute) // a lease of ten minutes, looked at every five
		synctest.Wait()
		if diff := cmp.Diff([]queue.Kind{queue.Queued, queue.Uncertain, queue.Delivered}, kinds); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// TestALeaseThatCouldNotBeRenewedIsNotEnded lets a delivery outlast the lease
// that an ill disk did not renew: its outcome is what counts.
func TestALeaseThatCouldNotBeRenewedIsNotEnded(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		var kinds []queue.Kind
		q := open(t, path, queue.Options{Poll: -1, Observe: func(events []queue.Event) {
			for _, e := range events {
				kinds = append(kinds, e.Kind)
			}
		}})
		defer q.Close()
		queue.Sabotage(q, "leases are not renewed")
		run(t, q, func(d *transport.Delivery) transport.Report {
			time.Sleep(time.Hour)
			return d.All(delivered)
		})
		enqueue(t, q, "x\r\n")
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if diff := cmp.Diff([]queue.Kind{queue.Queued, queue.Delivered}, kinds); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}
