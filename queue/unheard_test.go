package queue_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// TestARetryIsHeardThoughItsLaneIsJustBeingParked has a person want a lane tried
// when its destination was found dead, and that is not written down yet.
func TestARetryIsHeardThoughItsLaneIsJustBeingParked(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1})
		defer q.Close()
		mustEnqueue(t, q, message("u@far.test"))
		queue.BeforePark(q, func() {
			if n, err := q.Retry(t.Context(), queue.Match{All: true}); n != 1 || err != nil {
				t.Errorf("retried %d, error %v", n, err)
			}
		})
		n := 0
		s := &shaped{Func: func(_ context.Context, d *transport.Delivery) transport.Report {
			n++
			return d.All(delivered)
		}}
		dead := time.Now().Add(time.Hour)
		s.room = func(string) transport.Room {
			if len(s.revived) == 0 {
				return transport.Room{Until: dead, Reply: transport.Replyf(451, "4.4.1", "dead")}
			}
			return transport.Room{Free: 1}
		}
		runShaped(t, q, s)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n != 1 {
			t.Errorf("%d deliveries a minute after the retry", n)
		}
	})
}

// TestWhatIsOnTheDiskInSpiteOfAnErrorIsDelivered has nothing else happen that could
// bring it to light.
func TestWhatIsOnTheDiskInSpiteOfAnErrorIsDelivered(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1})
		defer q.Close()
		queue.LoseAnswers(q)
		var to []string
		run(t, q, func(d *transport.Delivery) transport.Report {
			to = append(to, d.Envelope.Recipients[0].Address)
			if len(d.Envelope.Recipients) == 2 {
				return d.All(transport.Outcome{Reply: transport.Replyf(550, "5.1.1", "no such user")})
			}
			return d.All(delivered)
		})
		synctest.Wait()
		if _, err := q.Enqueue(t.Context(), message("u@far.test", "v@far.test"), strings.NewReader("\r\n")); err == nil {
			t.Error("no error")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := strings.Join(to, " "); got != "u@far.test alice@site.test" {
			t.Errorf("delivered to %s", got)
		}
	})
}

// TestAWarningThatARuleHoldsIsToldOf reads what the history says of the mail on
// hold.
func TestAWarningThatARuleHoldsIsToldOf(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1, DelayWarning: time.Hour})
		defer q.Close()
		if _, err := q.AddRule(t.Context(), queue.Rule{Domain: "site.test"}); err != nil {
			t.Fatal(err)
		}
		mustEnqueue(t, q, message("u@far.test"))
		run(t, q, func(d *transport.Delivery) transport.Report {
			return d.All(transport.Outcome{Reply: transport.Replyf(451, "4.3.0", "later")})
		})
		time.Sleep(6 * time.Hour)
		held := 0
		for e, err := range q.Events(t.Context(), queue.Trail{Kinds: []queue.Kind{queue.Held}}) {
			if err != nil {
				t.Fatal(err)
			}
			if held++; e.Recipient != "alice@site.test" {
				t.Errorf("held: %+v", e)
			}
		}
		if held != 1 {
			t.Errorf("%d times told of mail on hold", held)
		}
	})
}
