package mailcore_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"blitiri.com.ar/go/spf"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/srs"
	"github.com/panelmail/panelmail/transport"
)

func TestACopyThatHasWaitedLeavesUnderAReversePathThatTakesBounces(t *testing.T) {
	const day = 24 * time.Hour
	all := queue.Match{All: true}
	forward := func(t *testing.T, r *relayed, notBefore time.Time) {
		t.Helper()
		m := received("shop", "bob@shop.example", authorAddr, "y@out.example")
		m.NotBefore = notBefore
		if _, err := r.srv.Forward(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	sleep := func(r *relayed, days int) { // without what a server does every minute
		r.lab.Stop()
		r.lab.Wait(time.Duration(days) * day)
		r.srv = r.lab.Restart()
	}
	for name, wait := range map[string]func(*testing.T, *relayed){
		"Scheduled": func(t *testing.T, r *relayed) {
			forward(t, r, time.Now().Add(60*day))
			sleep(r, 60)
		},
		"Held": func(t *testing.T, r *relayed) {
			forward(t, r, time.Now().Add(time.Hour))
			if _, err := r.srv.Queue().Hold(t.Context(), all); err != nil {
				t.Fatal(err)
			}
			sleep(r, 40)
			if _, err := r.srv.Queue().Release(t.Context(), all); err != nil {
				t.Fatal(err)
			}
		},
		"Requeued": func(t *testing.T, r *relayed) {
			r.out.Always(mailtest.Rcpt, transport.Replyf(451, "4.7.1", "later"))
			forward(t, r, time.Time{})
			for range 6 {
				sleep(r, 4)
				if _, err := r.srv.Queue().Requeue(t.Context(), all); err != nil {
					t.Fatal(err)
				}
			}
			r.out.Always(mailtest.Rcpt, transport.Reply{})
			if _, err := r.srv.Queue().Retry(t.Context(), all); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
				r := newRelayed(t, lab, mailcore.Config{})
				r.t = t
				wait(t, r)
				lab.Drain(time.Hour)
				got := r.out.Messages()
				if len(got) != 1 || srsOf(t, got[0].ReversePath) != "author.example=alice@shop.example" {
					t.Fatalf("out.example has got %+v", got)
				}
				if got := r.spf(got[0], got[0].ReversePath); got != spf.Pass {
					t.Errorf("SPF: %s", got)
				}
				sleep(r, 20)
				reports := len(r.author.Messages()) // of the delay
				if reply := r.receive("", got[0].ReversePath); !strings.HasPrefix(reply, "250 ") {
					t.Errorf("a bounce, 20 days after it left: %s", reply)
				}
				lab.Drain(time.Minute)
				if got := r.author.Messages()[reports:]; len(got) != 1 || got[0].Recipients[0] != authorAddr {
					t.Errorf("the author has got %+v", got)
				}
			})
		})
	}
}

func TestACopyKeepsItsReversePathForADay(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		var broken atomic.Bool
		working := ringOf("secret")
		ring := mailcore.SecretRingFunc(func(ctx context.Context, domain string) (*srs.Rewriter, error) {
			if broken.Load() {
				return nil, errors.New("the disk is on fire")
			}
			return working.Rewriter(ctx, domain)
		})
		r := newRelayed(t, lab, mailcore.Config{Forwarding: mailcore.Forwarding{Secrets: ring}})
		send := func() (madeOn string) {
			r.out.Always(mailtest.Rcpt, transport.Replyf(451, "4.7.1", "later"))
			if reply := r.receive(authorAddr, "fwd@shop.example"); !strings.HasPrefix(reply, "250 ") {
				t.Fatal(reply)
			}
			return rewrittenAt(t, "shop.example", authorAddr)
		}
		leave := func() {
			t.Helper()
			if _, err := r.srv.Queue().Retry(t.Context(), queue.Match{All: true}); err != nil {
				t.Fatal(err)
			}
			lab.Wait(time.Minute)
		}
		today := send()
		broken.Store(true)
		lab.Wait(23 * time.Hour)
		r.out.Always(mailtest.Rcpt, transport.Reply{})
		leave()
		if got := r.out.Messages(); len(got) != 1 || got[0].ReversePath != today {
			t.Errorf("on the first day: %+v, want %s", got, today)
		}

		broken.Store(false)
		yesterday := send()
		lab.Wait(25 * time.Hour)
		r.out.Always(mailtest.Rcpt, transport.Reply{})
		broken.Store(true)
		leave()
		if n := queued(t, r.srv); n != 1 || len(r.out.Messages()) != 1 {
			t.Errorf("while there is no secret: %d are queued, %+v have left", n, r.out.Messages())
		}
		broken.Store(false)
		leave()
		want := rewrittenAt(t, "shop.example", authorAddr)
		if got := r.out.Messages(); len(got) != 2 || got[1].ReversePath != want || want == yesterday {
			t.Errorf("on the second day: %+v, want %s and not %s", got, want, yesterday)
		}
	})
}
