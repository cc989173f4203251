package mailcore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

func TestTheHistoryOfADeliveredMessageHasItsTranscriptsForAWhile(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		mx := lab.Domain("customer.example")
		mx.Answer(mailtest.Rcpt, transport.Replyf(451, "4.7.1", "greylisted, come back later"))
		srv := lab.Server(mailcore.Config{Retention: 24 * time.Hour})
		id := submit(t, srv, hello("shop@shop.example", "u@customer.example"))
		lab.Drain(time.Hour)
		history, err := srv.Queue().History(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		type line struct {
			Kind       queue.Kind
			Code       int
			Transcript bool
		}
		var got []line
		for _, e := range history {
			got = append(got, line{e.Kind, e.Outcome.Reply.Code, e.Outcome.Transcript != ""})
		}
		want := []line{{queue.Queued, 0, false}, {queue.Deferred, 451, true}, {queue.Delivered, 250, false}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
		lab.Wait(25 * time.Hour)
		if _, err := srv.Queue().History(t.Context(), id); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("after the retention: %v", err)
		}
	})
}
