package mailcore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/panelmail/panelmail/internal/maildrop"
	"github.com/panelmail/panelmail/internal/smtpserver"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// siteUID is the system user of the site ours; no such user is on the machine.
const siteUID = 4_000_001

// newTwoSites is a server that does not run, with the sites ours and theirs, and a
// login of each kind at ours.
func newTwoSites(t *testing.T, policy FromPolicy) *Server {
	t.Helper()
	ctx := t.Context()
	s, err := Open(ctx, filepath.Join(t.TempDir(), "mail.db"), Config{
		Hostname: "mx.panel.example", Log: slog.New(slog.DiscardHandler), FromPolicy: policy,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for _, err := range []error{
		s.Sites().AddSite(ctx, sites.Site{Name: "ours", UIDs: []int{siteUID}}),
		s.Sites().AddSite(ctx, sites.Site{Name: "theirs", UIDs: []int{siteUID + 1}}),
		s.Sites().AddDomain(ctx, sites.Domain{Name: "ours.example", Site: "ours", Class: sites.Hosted}),
		s.Sites().AddDomain(ctx, sites.Domain{Name: "theirs.example", Site: "theirs", Class: sites.Hosted}),
		s.Sites().AddDomain(ctx, sites.Domain{Name: "xn--bcher-kva.example", Site: "theirs", Class: sites.Relay}),
		s.Sites().AddLogin(ctx, sites.Login{Name: "me@ours.example", Site: "ours"}, "x"),
		s.Sites().AddLogin(ctx, sites.Login{Name: "web", Site: "ours"}, "x"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// waysIn are the ways by which the site ours may hand in a message.
func waysIn(s *Server) map[string]func(ctx context.Context, sender, content string) error {
	const to = "u@elsewhere.example"
	hand := func(ctx context.Context, d *draft, err error, content string) error {
		if err != nil {
			return err
		}
		t := &transaction{desk: s.current(), draft: d, relay: d.ours}
		if err := t.Rcpt(ctx, to, smtpserver.RcptParams{}); err != nil {
			return err
		}
		_, err = t.Data(ctx, strings.NewReader(content))
		return err
	}
	smtp := func(login string) func(context.Context, string, string) error {
		return func(ctx context.Context, sender, content string) error {
			d, err := s.current().smtpDraft(ctx, Identity{Login: login, Site: "ours"}, false, transport.Envelope{ReversePath: sender})
			return hand(ctx, d, err, content)
		}
	}
	message := func(sender, content string) Message {
		return Message{ReversePath: sender, Recipients: []string{to}, Site: "ours", Content: strings.NewReader(content)}
	}
	return map[string]func(context.Context, string, string) error{
		"SMTP with a login named like an address": smtp("me@ours.example"),
		"SMTP with a login of the site":           smtp("web"),
		"sendmail socket": func(ctx context.Context, sender, content string) error {
			who, err := s.current().localSubmitter(ctx, siteUID)
			if err != nil {
				return err
			}
			d, err := s.current().localDraft(ctx, who, transport.Envelope{ReversePath: sender})
			return hand(ctx, d, err, content)
		},
		"maildrop": func(ctx context.Context, sender, content string) error {
			drop := maildrop.Drop{UID: siteUID, Envelope: maildrop.Envelope{From: sender, To: []string{to}}}
			return s.current().takeDrop(ctx, drop, strings.NewReader(content))
		},
		"Submit": func(ctx context.Context, sender, content string) error {
			_, err := s.Submit(ctx, message(sender, content))
			return err
		},
	}
}

func rows(t interface{ Fatal(...any) }, s *Server) (n int) {
	for _, err := range s.Queue().Entries(context.Background(), queue.Match{All: true}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func refusalCode(err error) int {
	var reply transport.Reply
	if !errors.As(err, &reply) {
		return 0
	}
	return reply.Code
}

// foreign are ways to write an address of the other site.
var foreign = []string{
	"x@theirs.example", "x@theirs.example. y", "X@THEIRS.EXAMPLE", "x@theirs.example.", "x+tag@theirs.example", `"x y"@theirs.example`,
	"x@bücher.example", "x@xn--bcher-kva.example", "x@BÜCHER.example",
}

func TestR8ASiteUsesNoAddressOfAnotherWhateverTheWayIn(t *testing.T) {
	s := newTwoSites(t, "")
	ways := waysIn(s)
	local := rapid.StringMatching(`[a-z]{1,8}`)
	rapid.Check(t, func(r *rapid.T) {
		way := rapid.SampledFrom([]string{
			"SMTP with a login named like an address", "SMTP with a login of the site", "sendmail socket", "maildrop", "Submit",
		}).Draw(r, "way")
		other := rapid.OneOf(rapid.SampledFrom(foreign), rapid.Map(local, func(l string) string { return l + "@theirs.example" })).Draw(r, "foreign")
		sender := "me@ours.example"
		form := rapid.SampledFrom([]string{
			"%s", "<%s>", "Boss <%s>", "Shop, Inc. <%s>", "me@ours.example, %s", `"a" <me@ours.example>, "b" <%s>`, "%s <me@ours.example>",
			"g: %s;", "(x) %s (y", "=?utf-8?q?x?= <%s>", "<me@ours.example>\r\nfrom : <%s>", "\r\n <%s>", "x\r\n <%s>",
		}).Draw(r, "form")
		from := fmt.Sprintf(form, other)
		if rapid.Bool().Draw(r, "in the envelope") {
			sender, from = other, "me@ours.example"
		}
		before := rows(r, s)
		err := ways[way](t.Context(), sender, "From: "+from+"\r\nSubject: x\r\n\r\nx\r\n")
		if code := refusalCode(err); code != 553 && code != 501 {
			r.Errorf("%s: MAIL FROM:<%s>, From: %s: %v", way, sender, from, err)
		}
		if after := rows(r, s); after != before {
			r.Errorf("%s: %d rows were written", way, after-before)
		}
	})
}

func TestWhatMayBeInFromFollowsThePolicy(t *testing.T) {
	for policy, rows := range map[FromPolicy]map[string][2]bool{ // of a login named like an address, and of the others
		FromHosted: {
			"me@ours.example": {true, true}, "boss@ours.example": {true, true}, "customer@elsewhere.example": {true, true},
			"x@theirs.example": {false, false}, "root": {true, true}, `"x@theirs.example" <me@ours.example>`: {true, true},
			"me+tag@ours.example": {true, true}, "no address": {true, true}, "x@sub.theirs.example": {true, true}, "x@theirs.example\v": {false, false},
		},
		FromStrict: {
			"me@ours.example": {true, true}, "boss@ours.example": {false, true}, "customer@elsewhere.example": {false, false},
			"x@theirs.example": {false, false}, "root": {false, false}, "me+tag@ours.example": {true, true},
			"me@ours.example, customer@elsewhere.example": {false, false},
		},
		FromOff: {"x@theirs.example": {true, true}, "root": {true, true}},
	} {
		s := newTwoSites(t, policy)
		for way, submit := range waysIn(s) {
			for from, want := range rows {
				column := 1
				if way == "SMTP with a login named like an address" {
					column = 0
				}
				err := submit(t.Context(), "me@ours.example", "From: "+from+"\r\n\r\nx\r\n")
				if want[column] != (err == nil) || err != nil && refusalCode(err) != 553 {
					t.Errorf("%s, %s: From: %s: %v", policy, way, from, err)
				}
			}
			if err := submit(t.Context(), "me@ours.example", "Subject: without From\r\n\r\nx\r\n"); err != nil {
				t.Errorf("%s, %s: without From: %v", policy, way, err)
			}
		}
	}
}

func TestThePanelStrangersAndTrustedNetworksAreNotHeldToThePolicy(t *testing.T) {
	s := newTwoSites(t, FromStrict)
	const content = "From: x@theirs.example\r\n\r\nx\r\n"
	if _, err := s.Submit(t.Context(), Message{ReversePath: "a@b.example", Recipients: []string{"u@elsewhere.example"}, Content: strings.NewReader(content)}); err != nil {
		t.Errorf("the panel: %v", err)
	}
	for _, trusted := range []bool{true, false} {
		d, err := s.current().smtpDraft(t.Context(), Identity{}, trusted, transport.Envelope{ReversePath: "a@b.example"})
		if err != nil {
			t.Fatal(err)
		}
		if d.envelope.Recipients = []transport.Recipient{{Address: "u@ours.example"}}; trusted != d.ours {
			t.Fatal("who is ours?")
		}
		if _, err := s.current().store(t.Context(), d, strings.NewReader(content)); err != nil {
			t.Errorf("trusted %v: %v", trusted, err)
		}
	}
}
