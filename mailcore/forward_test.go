package mailcore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// received is a message as a program of the panel has it from a mailbox.
func received(site, receivedFor, from string, to ...string) mailcore.Message {
	return mailcore.Message{
		ReversePath: from, Recipients: to, Site: site, ReceivedFor: receivedFor,
		Content: strings.NewReader("Return-Path: <" + from + ">\nReceived: from a.test by b.test; Mon, 2 Mar 2026 10:00:00 +0000\nBcc: hidden@out.example\nSubject: Hello\n\nIt is on its way.\n"),
	}
}

func TestForwardSendsOnUnderADomainOfWhoForwards(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{})
		addSite(t, r.srv, "two", "zwei.example", "eins.example")
		addSite(t, r.srv, "none")
		for _, tt := range []struct{ what, site, receivedFor, from, want string }{
			{"a site", "shop", "", authorAddr, "author.example=alice@shop.example"},
			{"the first domain of a site", "two", "", authorAddr, "author.example=alice@eins.example"},
			{"the domain of who received it", "two", "bob@ZWEI.example", authorAddr, "author.example=alice@zwei.example"},
			{"a site without a domain", "none", "", authorAddr, "author.example=alice@mail.panel.example"},
			{"the panel", "", "", authorAddr, "author.example=alice@mail.panel.example"},
			{"the panel, for an address of a site", "", "bob@zwei.example", authorAddr, "author.example=alice@zwei.example"},
			{"the null reverse-path", "shop", "bob@shop.example", "", ""},
			{"a sender of another site", "shop", "bob@shop.example", "a@zwei.example", "a@zwei.example"},
		} {
			before := len(r.out.Messages())
			if _, err := r.srv.Forward(t.Context(), received(tt.site, tt.receivedFor, tt.from, "y@out.example")); err != nil {
				t.Errorf("%s: %v", tt.what, err)
				continue
			}
			lab.Drain(time.Minute)
			got := r.out.Messages()[before:]
			if len(got) != 1 {
				t.Errorf("%s: %d copies", tt.what, len(got))
				continue
			}
			path := got[0].ReversePath
			if strings.HasPrefix(path, "SRS0=") {
				path = srsOf(t, path)
			}
			if path != tt.want {
				t.Errorf("%s: reverse-path %s, want %s", tt.what, path, tt.want)
			}
			if tt.site == "shop" && got[0].Client.String() != siteIP {
				t.Errorf("%s: it came from %s, and not from the site's %s", tt.what, got[0].Client, siteIP)
			}
		}
	})
}

func TestForwardChangesNothingButTheTrace(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{})
		id, err := r.srv.Forward(t.Context(), received("shop", "bob@shop.example", authorAddr, "y@out.example"))
		if err != nil {
			t.Fatal(err)
		}
		lab.Drain(time.Minute)
		trace, rest, _ := strings.Cut(r.out.Messages()[0].Content, "\r\nReceived: from a.test")
		want := " by b.test; Mon, 2 Mar 2026 10:00:00 +0000\r\nBcc: hidden@out.example\r\nSubject: Hello\r\n\r\nIt is on its way.\r\n"
		if diff := cmp.Diff(want, rest); diff != "" {
			t.Errorf("behind the trace (-want +got):\n%s", diff)
		}
		if !strings.HasPrefix(trace, "Received: ") || !strings.Contains(trace, id) || !strings.Contains(trace, "for <bob@shop.example>") || strings.Contains(trace, "out.example") {
			t.Errorf("the trace is %q", trace)
		}
	})
}

func TestForwardKnowsWhereMailStaysAndWhomItIsFor(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{})
		lab.Exchanger("store.example").Always(mailtest.Rcpt, transport.Replyf(451, "4.7.1", "later"))
		if err := r.srv.Sites().SetMailbox(t.Context(), sites.Mailbox{Address: "carol@shop.example", Deliver: "smtp:[store.example]:25"}); err != nil {
			t.Fatal(err)
		}
		r.out.Always(mailtest.Rcpt, transport.Replyf(451, "4.7.1", "later"))
		if _, err := r.srv.Forward(t.Context(), received("shop", "bob@shop.example", authorAddr, "carol@shop.example", "y@out.example")); err != nil {
			t.Fatal(err)
		}
		lab.Wait(time.Second)
		if n := queued(t, r.srv); n != 1 {
			t.Fatalf("%d messages are queued", n)
		}
		for e, err := range r.srv.Queue().Entries(t.Context(), queue.Match{All: true}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Envelope.ReversePath != authorAddr || e.Origin.Via != transport.ViaForward || e.Origin.Site != "shop" {
				t.Errorf("queued from %s by %+v", e.Envelope.ReversePath, e.Origin)
			}
			for _, p := range e.Envelope.Recipients {
				if stays := p.Address == "carol@shop.example"; stays != (p.ReversePath == "") || p.ORcpt != "rfc822;bob@shop.example" {
					t.Errorf("%s leaves under %q, for %s", p.Address, p.ReversePath, p.ORcpt)
				}
			}
		}
		if _, err := r.srv.RemoveSite(t.Context(), "shop", "a test"); err != nil {
			t.Fatal(err)
		}
		if n := queued(t, r.srv); n != 0 {
			t.Errorf("%d messages of the site that forwarded outlive it", n)
		}
	})
}

func TestForwardSaysAllThatIsWrong(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{})
		addSite(t, r.srv, "other", "other.example")
		addSite(t, r.srv, "paused", "paused.example")
		if err := r.srv.Sites().Suspend(t.Context(), "paused"); err != nil {
			t.Fatal(err)
		}
		looping := received("shop", "", authorAddr, "y@out.example")
		looping.Content = strings.NewReader(strings.Repeat("Received: from a by b; date\n", 49) + "\nx\n")
		empty := received("shop", "", authorAddr, "y@out.example")
		empty.Content = nil
		for _, tt := range []struct {
			what string
			m    mailcore.Message
			want transport.Reply
		}{
			{"an unknown site", received("gone", "", authorAddr, "y@out.example"), transport.Replyf(550, "5.7.1", `site "gone" is unknown`)},
			{"a suspended site", received("paused", "", authorAddr, "y@out.example"), transport.Replyf(550, "5.7.1", "site paused is suspended: it may not send")},
			{"an address of another site", received("shop", "a@other.example", authorAddr, "y@out.example"), transport.Replyf(553, "5.7.1", `<a@other.example>: an address of site "shop" was to receive it`)},
			{"an address that is not here", received("", "a@far.example", authorAddr, "y@out.example"), transport.Replyf(553, "5.7.1", `<a@far.example>: an address of site "" was to receive it`)},
			{"no address", received("shop", "bob", authorAddr, "y@out.example"), transport.Replyf(501, "5.1.3", `received for "bob": no domain`)},
			{"nobody to send it to", received("shop", "", authorAddr), transport.Replyf(554, "5.5.1", "no recipients")},
			{"an address of ours that nobody has", received("shop", "", authorAddr, "nobody@shop.example"), transport.Replyf(550, "5.1.1", "<nobody@shop.example>: Recipient address rejected: User unknown in virtual mailbox table")},
			{"no content", empty, transport.Replyf(554, "5.6.0", "no content")},
			{"mail that goes round", looping, transport.Replyf(554, "5.4.6", "Error: too many hops")},
		} {
			_, err := r.srv.Forward(t.Context(), tt.m)
			got, ok := errors.AsType[transport.Reply](err)
			if !ok || got != tt.want {
				t.Errorf("%s: %v, want %v", tt.what, err, tt.want)
			}
		}
		if n := queued(t, r.srv); n > 0 {
			t.Errorf("%d messages are queued", n)
		}
	})
}

func TestForwardAndSubmitDoNotShareAKey(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{})
		m := func() mailcore.Message {
			m := received("shop", "", "bob@shop.example", "y@out.example")
			m.Key = "once"
			m.Content = strings.NewReader("From: bob@shop.example\nDate: Mon, 2 Mar 2026 10:00:00 +0000\nMessage-ID: <1@shop.example>\n\nx\n")
			return m
		}
		first, err := r.srv.Forward(t.Context(), m())
		if err != nil {
			t.Fatal(err)
		}
		if again, err := r.srv.Forward(t.Context(), m()); err != nil || again != first {
			t.Errorf("again: %s, %v, want %s", again, err, first)
		}
		if id, err := r.srv.Submit(t.Context(), m()); !errors.Is(err, queue.ErrKeyReused) {
			t.Errorf("submitted under the same key: %s, %v", id, err)
		}
	})
}
