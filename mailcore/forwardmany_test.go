package mailcore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/srs"
)

func TestAllCopiesThatADomainSendsOnLeaveUnderOneReversePath(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		ring, asked := ringOf("secret"), map[string]int{}
		counted := mailcore.SecretRingFunc(func(ctx context.Context, domain string) (*srs.Rewriter, error) {
			asked[domain]++
			return ring.Rewriter(ctx, domain)
		})
		r := newRelayed(t, lab, mailcore.Config{Forwarding: mailcore.Forwarding{Secrets: counted}})
		addSite(t, r.srv, "other", "other.example")
		for _, domain := range []string{"shop.example", "other.example"} {
			var targets []string
			for i := range 20 {
				targets = append(targets, fmt.Sprintf("u%d@out.example", i))
			}
			r.alias("team@"+domain, targets...)
			r.alias("one@"+domain, "one@out.example")
		}
		replies := dialogue(t, lab, 25, "EHLO mx.author.example", "MAIL FROM:<"+authorAddr+">",
			"RCPT TO:<team@shop.example>", "RCPT TO:<team@other.example>", "RCPT TO:<one@shop.example>", "RCPT TO:<one@other.example>",
			"DATA", "Subject: Hello\r\n\r\nIt is on its way.\r\n.", "MAIL FROM:<bob@author.example>", "RCPT TO:<one@shop.example>")
		if last := replies[len(replies)-1]; last != "250 2.1.5 Ok" {
			t.Fatalf("%q", replies)
		}
		if diff := cmp.Diff(map[string]int{"shop.example": 2, "other.example": 1}, asked); diff != "" {
			t.Errorf("the rings were asked (-want +got):\n%s", diff)
		}
		lab.Drain(time.Minute)
		got := map[string]int{}
		for _, m := range r.out.Messages() {
			got[srsOf(t, m.ReversePath)] += len(m.Recipients)
		}
		want := map[string]int{"author.example=alice@shop.example": 21, "author.example=alice@other.example": 21}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("copies by reverse-path (-want +got):\n%s", diff)
		}
	})
}
