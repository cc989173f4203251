package mailcore_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
)

func TestARouteOfItsOwnGoesBeforeAMailboxAndAMailboxBeforeTheRest(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{})
		v.mailboxes("bob@shop.example", "ann@shop.example", "@other.example")
		route(t, v.srv, "*", "smtp:[everything.example]")
		route(t, v.srv, ".example", "smtp:[parent.example]")
		route(t, v.srv, "ann@shop.example", "smtp:[ann.example]")
		for to, want := range map[string]string{
			"bob@shop.example":        "smtp:[store.example]:25 (mailbox: bob@shop.example)",
			"bob+ext@shop.example":    "smtp:[store.example]:25 (mailbox: bob@shop.example)",
			"any@other.example":       "smtp:[store.example]:25 (mailbox: @other.example)",
			"ann@shop.example":        "smtp:[ann.example] (route: ann@shop.example)",
			"ann+ext@shop.example":    "smtp:[ann.example] (route: ann@shop.example)",
			"gone@shop.example":       "error:5.1.1 User unknown in virtual mailbox table (domain: shop.example)",
			"any@list.example":        "error:5.1.1 User unknown in virtual alias table (domain: list.example)",
			"any@relay.example":       "smtp:[store.example] (route: relay.example)",
			"x@xn--bcher-kva.example": "smtp:[parent.example] (route: .example)", // it has no mailbox: it only sends
			"x@elsewhere.example":     "smtp:[parent.example] (route: .example)",
			"x@elsewhere.test":        "smtp:[everything.example] (route: *)",
		} {
			plan, err := v.srv.Explain(t.Context(), "", "x@stranger.test", to)
			if err != nil {
				t.Errorf("%s: %v", to, err)
				continue
			}
			if got := fmt.Sprintf("%s:%s (%s)", plan.Transport, plan.Nexthop, plan.Because[0].Rule); got != want {
				t.Errorf("%s: %s, want %s", to, got, want)
			}
		}
	})
}

func TestADomainWithMailboxesHasNoOthersByItsRoute(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{})
		route(t, v.srv, "shop.example", "smtp:[store.example]")
		route(t, v.srv, "*", "smtp:[store.example]")
		if got, want := v.outcome("any@shop.example"), "store any@shop.example"; got != want {
			t.Errorf("without mailboxes: %s, want %s", got, want)
		}
		if got := v.outcome("any@other.example"); !strings.HasPrefix(got, "550 5.1.1") {
			t.Errorf("a route for everything makes a user known: %s", got)
		}
		v.aliases("off paused@shop.example: x@out.example")
		if got := v.outcome("paused@shop.example"); !strings.HasPrefix(got, "550 5.1.1") {
			t.Errorf("an alias that is disabled: %s", got)
		}
		v.mailboxes("bob@shop.example")
		if got := v.outcome("any@shop.example"); !strings.HasPrefix(got, "550 5.1.1") {
			t.Errorf("with mailboxes: %s", got)
		}
		v.aliases("fwd@shop.example: any@other.example, bob@shop.example", "closed@shop.example: x@closed.test")
		route(t, v.srv, "closed.test", "error:this host has closed")
		if got, want := v.outcome("fwd@shop.example"), "store bob@shop.example"; got != want {
			t.Errorf("by an alias: %s, want %s", got, want)
		}
		if got, want := v.outcome("closed@shop.example"), "550 5.1.1 <closed@shop.example>: Recipient address rejected: this host has closed"; got != want {
			t.Errorf("an alias to an error route: %s, want %s", got, want)
		}
	})
}

func TestMailForAMailboxThatIsRemovedIsReturned(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{})
		stranger := lab.Domain("stranger.test")
		v.mailboxes("bob@shop.example", "ann@shop.example")
		v.store.Down()
		dialogue(t, lab, 25, "EHLO stranger.test", "MAIL FROM:<x@stranger.test>", "RCPT TO:<bob@shop.example>", "DATA", "Subject: x\r\n\r\nx\r\n.")
		lab.Wait(time.Minute)
		v.must(v.srv.Sites().RemoveMailbox(t.Context(), "bob@shop.example"))
		lab.Drain(24 * time.Hour)
		got := stranger.Messages()
		if len(got) != 1 || !strings.Contains(got[0].Content, "5.1.1 User unknown in virtual mailbox table") {
			t.Errorf("returned: %+v", got)
		}
	})
}

func TestAnAliasOfOneSiteIsNotSeenByAnother(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{})
		v.mailboxes("bob@shop.example")
		v.aliases("info@shop.example: bob@shop.example")
		receipt, err := v.srv.Sites().RemoveDomain(t.Context(), "shop.example")
		v.must(err, v.srv.Sites().AddDomain(t.Context(), sites.Domain{Name: "shop.example", Site: "other", Class: sites.Hosted}))
		if receipt.Rows["aliases"] != 1 || receipt.Rows["mailboxes"] != 1 {
			t.Errorf("receipt %+v", receipt)
		}
		for _, to := range []string{"bob@shop.example", "info@shop.example"} {
			if got := v.outcome(to); !strings.HasPrefix(got, "550 5.1.1") {
				t.Errorf("%s: %s", to, got)
			}
		}
	})
}
