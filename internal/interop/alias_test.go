package interop_test

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/sites"
)

// virtual is the alias map of both servers. shop.test and catch.test are hosted;
// bob, keep and ann have mailboxes there. list.test and loop.test are alias
// domains.
const virtual = `info@shop.test	bob@shop.test, x@out.test
fwd@shop.test		x@out.test
fwd+vip@shop.test	vip@out.test
exact@shop.test		x+own@out.test
keep@shop.test		x@out.test, keep@shop.test
two@shop.test		keep@shop.test, fwd@shop.test
@catch.test		all@out.test
@list.test		@out.test
some@list.test		nobody@shop.test, x@out.test
a@loop.test		b@loop.test
b@loop.test		a@loop.test
`

// aliasCases are what becomes of a message. Where ours is not "", it is what we do
// otherwise, and why says the reason.
var aliasCases = []struct{ to, postfix, ours, why string }{
	{to: "bob@shop.test", postfix: "bob@shop.test"},
	{to: "Bob@Shop.Test", postfix: "Bob@Shop.Test"},
	{to: "bob+ext@shop.test", postfix: "bob+ext@shop.test"},
	{to: "info@shop.test", postfix: "bob@shop.test x@out.test"},
	{to: "info+ext@shop.test", postfix: "bob+ext@shop.test x+ext@out.test"},
	{to: "fwd+vip@shop.test", postfix: "vip@out.test"},
	{to: "fwd+other@shop.test", postfix: "x+other@out.test"},
	{to: "fwd+OTHER@shop.test", postfix: "x+OTHER@out.test"},
	{to: "keep@shop.test", postfix: "keep@shop.test x@out.test"},
	{to: "keep+ext@shop.test", postfix: "keep+ext@shop.test x+ext@out.test"},
	{to: "two@shop.test", postfix: "keep@shop.test x@out.test"},
	{to: "bob@shop.test info@shop.test", postfix: "bob@shop.test bob@shop.test x@out.test"},
	{to: "info@shop.test info@shop.test", postfix: "bob@shop.test x@out.test"},
	{to: "any@catch.test", postfix: "all@out.test"},
	{to: "any+ext@catch.test", postfix: "all@out.test"},
	{to: "any@list.test", postfix: "any@out.test"},
	{to: "any+ext@list.test", postfix: "any+ext@out.test"},
	{to: "nobody@shop.test", postfix: "RCPT: 550 5.1.1"},
	{to: "x@out.test", postfix: "RCPT: 554 5.7.1"},
	{to: "x%out.test@list.test", postfix: "RCPT: 554 5.7.1"},

	{to: "exact+ext@shop.test", postfix: "x+own+ext@out.test", ours: "x+own@out.test", why: "an extension is not hung on another"},
	{to: "ann@catch.test", postfix: "all@out.test", ours: "ann@catch.test", why: "a mailbox goes before a catch-all"},
	{to: "a@loop.test", postfix: "end of data: 451 4.6.0", ours: "RCPT: 451 4.6.0", why: "a circle is refused where it is, and not with the rest of the message"},
	{to: "some@list.test", postfix: "nobody@shop.test x@out.test", ours: "x@out.test", why: "a target that nobody has is left out, and no bounce is sent to the author"},
}

func TestAliasesLeadWherePostfixLeadsThem(t *testing.T) {
	theirs, ours := postfixWithAliases(t), panelWithAliases(t)
	for i, tt := range aliasCases {
		from := "case" + strconv.Itoa(i) + "@stranger.test"
		if got := theirs.outcome(t, from, tt.to, tt.postfix); got != tt.postfix {
			t.Errorf("Postfix, %s: %s, want %s", tt.to, got, tt.postfix)
		}
		want := cmp.Or(tt.ours, tt.postfix)
		if got := ours.outcome(t, from, tt.to, want); got != want {
			t.Errorf("ours, %s: %s, want %s (%s)", tt.to, got, want, tt.why)
		}
	}
}

// An aliasServer is a server whose mail all goes to a sink.
type aliasServer struct {
	addr  string
	sink  *interop.Sink
	empty func() bool // nothing is in its queue
}

// outcome is whom a message reaches, or the first reply that refused it. It waits
// for as many recipients as want has, and then for the queue, which may look empty
// while a message moves from one directory of Postfix's to another.
func (s *aliasServer) outcome(t *testing.T, from, to, want string) string {
	t.Helper()
	submitter, err := interop.NewSubmitter(t.Context(), s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer submitter.Close()
	_, err = submitter.Send(from, strings.Fields(to), []byte("Subject: x\r\n\r\nx\r\n.\r\n"))
	var refusal *interop.Refusal
	if errors.As(err, &refusal) {
		command, _, _ := strings.Cut(refusal.Command, " TO:")
		return command + ": " + strings.Join(strings.Fields(refusal.Reply)[:2], " ")
	}
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(20 * time.Second); len(s.reached(from)) < len(strings.Fields(want)) || !s.empty(); {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatalf("%s: it reached %v; the queue is empty: %v", to, s.reached(from), s.empty())
		}
	}
	return strings.Join(s.reached(from), " ")
}

// reached is whom the message of a sender has reached by now, in order of name. What
// ours sends on leaves under a reverse-path that is made of the sender's.
func (s *aliasServer) reached(from string) (got []string) {
	local, domain, _ := strings.Cut(from, "@")
	for _, m := range s.sink.Messages() {
		if m.From() == from || strings.Contains(m.From(), "="+domain+"="+local+"@") {
			got = append(got, m.To()...)
		}
	}
	slices.Sort(got)
	return got
}

func newSink(t *testing.T) *interop.Sink {
	t.Helper()
	sink := &interop.Sink{}
	if err := sink.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close() })
	return sink
}

func postfixWithAliases(t *testing.T) *aliasServer {
	t.Helper()
	sink := newSink(t)
	dir, err := os.MkdirTemp("", "aliases")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	table := filepath.Join(dir, "virtual")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(table, []byte(virtual), 0o644)); err != nil {
		t.Fatal(err)
	}
	hop := "[127.0.0.1]:" + port(sink.Addr)
	postfix := &interop.Postfix{Dir: filepath.Join(dir, "postfix"), Main: []string{
		"mynetworks =",
		"smtpd_relay_restrictions = reject_unauth_destination",
		"recipient_delimiter = +",
		"virtual_alias_maps = texthash:" + table,
		"virtual_alias_domains = list.test, loop.test",
		"virtual_mailbox_domains = shop.test, catch.test",
		"virtual_mailbox_maps = inline:{bob@shop.test=x, keep@shop.test=x, ann@catch.test=x}",
		"virtual_transport = smtp:" + hop,
		"relayhost = " + hop,
	}}
	interop.RunPostfix(t, postfix)
	return &aliasServer{addr: postfix.Addr, sink: sink, empty: func() bool {
		n, err := postfix.Queued(t.Context())
		return err == nil && n == 0
	}}
}

func port(addr string) string {
	_, port, _ := strings.Cut(addr, ":")
	return port
}

func panelWithAliases(t *testing.T) *aliasServer {
	t.Helper()
	sink := newSink(t)
	hop := "[127.0.0.1]:" + port(sink.Addr)
	srv, err := mailcore.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), mailcore.Config{
		Hostname: "panelmail.test", SmartHost: hop, TLSLevel: "none", AllowPrivate: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := sites.ParseAliases("virtual", strings.NewReader(virtual))
	s := srv.Sites()
	err = errors.Join(err, s.AddSite(t.Context(), sites.Site{Name: "shop"}))
	for name, class := range map[string]sites.Class{"shop.test": sites.Hosted, "catch.test": sites.Hosted, "list.test": sites.Alias, "loop.test": sites.Alias} {
		err = errors.Join(err, s.AddDomain(t.Context(), sites.Domain{Name: name, Site: "shop", Class: class}))
	}
	for _, addr := range []string{"bob@shop.test", "keep@shop.test", "ann@catch.test"} {
		err = errors.Join(err, s.SetMailbox(t.Context(), sites.Mailbox{Address: addr, Deliver: "smtp:" + hop}))
	}
	l, listenErr := net.Listen("tcp", "127.0.0.1:0")
	if err := errors.Join(err, listenErr, s.SetAliases(t.Context(), list)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx, mailcore.Listener{Kind: mailcore.SMTP, Listener: l}) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &aliasServer{addr: l.Addr().String(), sink: sink, empty: func() bool {
		stats, err := srv.Queue().Stats(t.Context())
		return err == nil && stats.Messages == 0
	}}
}
