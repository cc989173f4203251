package interop_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/sites"
)

// relayForms are arguments of RCPT TO, and relaySenders of MAIL FROM.
func relayForms(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../mailcore/testdata/relay_forms.txt")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func relaySenders() []string {
	return []string{"<x@remote.test>", "<>", "<u@local.test>", "<u@localhost>", "<u@[127.0.0.1]>", "<u>"}
}

// stricter are the forms that Postfix takes and we refuse. Nothing is the other way round.
var stricter = map[string]string{
	"<u@[127.0.0.1]>":      "no mailbox of a panel is at an address literal",
	"<a..b@local.test>":    "two dots in a row are in no atom (RFC 5321 section 4.1.2)",
	"<../../x@local.test>": "the same",
	"MAIL FROM:<u>":        "no domain is added to a stranger's address",
}

// TestRelayFormsAreJudgedAsPostfixJudgesThem compares what a real Postfix and a server of
// ours say to a stranger about each of 34 forms from each of six senders.
func TestRelayFormsAreJudgedAsPostfixJudgesThem(t *testing.T) {
	postfix := &interop.Postfix{Main: []string{
		"mynetworks = 192.0.2.0/24",
		"mydestination = local.test",
		"smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
		"smtpd_error_sleep_time = 0",
		"smtpd_soft_error_limit = 1000",
		"smtpd_hard_error_limit = 1000",
	}}
	interop.RunPostfix(t, postfix)
	ours := relayTarget(t)

	forms := relayForms(t)
	differs := map[string]bool{}
	for _, sender := range relaySenders() {
		theirs, mine := verdicts(t, postfix.Addr, sender, forms), verdicts(t, ours, sender, forms)
		if theirs["MAIL"] && !mine["MAIL"] {
			differs["MAIL FROM:"+sender] = true
			continue // nothing can be accepted after that
		}
		for _, form := range forms {
			switch {
			case mine[form] && !theirs[form]:
				t.Errorf("from %s: RCPT TO:%s is accepted, Postfix refuses it", sender, form)
			case theirs[form] != mine[form]:
				differs[form] = true
			}
		}
	}
	want := map[string]bool{}
	for form := range stricter {
		want[form] = true
	}
	if diff := gocmp.Diff(want, differs); diff != "" {
		t.Errorf("forms that we refuse and Postfix accepts (-listed +found):\n%s", diff)
	}
	same := len(forms)
	for _, form := range forms {
		if differs[form] {
			same--
		}
	}
	if same < 30 {
		t.Errorf("the verdicts on %d of %d forms are those of Postfix, want 30", same, len(forms))
	}
	t.Logf("%d of %d forms are judged alike from all senders", same, len(forms))
}

// verdicts says which forms are accepted from a sender, and with "MAIL" whether it is.
func verdicts(t *testing.T, addr, sender string, forms []string) map[string]bool {
	t.Helper()
	steps := []string{"EHLO stranger.test", "MAIL FROM:" + sender}
	for _, form := range forms {
		steps = append(steps, "RCPT TO:"+form)
	}
	replies, err := hold(t.Context(), addr, steps)
	if err != nil || len(replies) != len(steps)+1 {
		t.Fatalf("%d replies to %d steps: %v", len(replies), len(steps), err)
	}
	accepted := map[string]bool{"MAIL": strings.HasPrefix(replies[2].codes, "2")}
	for i, form := range forms {
		accepted[form] = strings.HasPrefix(replies[3+i].codes, "2")
	}
	return accepted
}

// relayTarget runs a server of ours that hosts local.test, where everybody has a mailbox.
func relayTarget(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, err := mailcore.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), mailcore.Config{
		Hostname:   "mx.panel.test",
		Postmaster: "u@local.test",
		Limits:     mailcore.Limits{SoftErrors: 1000, MaxErrors: 1000},
		Log:        slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx, mailcore.Listener{Kind: mailcore.SMTP, Listener: l}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for _, err := range []error{
		srv.Sites().AddSite(t.Context(), sites.Site{Name: "local"}),
		srv.Sites().AddDomain(t.Context(), sites.Domain{Name: "local.test", Site: "local", Class: sites.Hosted}),
		srv.Sites().SetRoute(t.Context(), sites.Route{Pattern: "local.test", Value: "hold:for the test"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return l.Addr().String()
}
