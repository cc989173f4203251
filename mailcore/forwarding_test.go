package mailcore_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"blitiri.com.ar/go/spf"
	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/srs"
	"github.com/panelmail/panelmail/transport"
)

// A relayed is a world in which mail of author.example, whose SPF names its own host
// alone, comes for fwd@shop.example here and goes on to x@out.example. The site of
// shop.example has an address of its own.
type relayed struct {
	t           *testing.T
	lab         *mailtest.Lab
	srv         *mailcore.Server
	author, out *mailtest.Exchanger
	dns         spfResolver
}

const (
	authorAddr = "alice@author.example"
	siteIP     = "198.51.100.7"
)

func newRelayed(t *testing.T, lab *mailtest.Lab, config mailcore.Config) *relayed {
	t.Helper()
	r := &relayed{t: t, lab: lab, author: lab.Domain("author.example"), out: lab.Domain("out.example")}
	lab.DNS.TXT["author.example"] = []string{"v=spf1 ip4:" + r.author.Addr.Addr().String() + " -all"}
	lab.DNS.TXT["shop.example"] = []string{"v=spf1 ip4:" + siteIP + " -all"}
	lab.Local(netip.MustParseAddr(siteIP))
	r.dns = spfResolver{lab.DNS.Resolver().(transport.ClientResolver)}
	r.srv = lab.Server(config)
	addSite(t, r.srv, "shop", "shop.example")
	if err := r.srv.Sites().SetSource(t.Context(), sites.Source{Key: "shop", IPv4: netip.MustParseAddr(siteIP)}); err != nil {
		t.Fatal(err)
	}
	r.alias("fwd@shop.example", "x@out.example")
	return r
}

func (r *relayed) alias(pattern string, targets ...string) {
	r.t.Helper()
	if err := r.srv.Sites().SetAlias(r.t.Context(), sites.AliasEntry{Pattern: pattern, Targets: targets}); err != nil {
		r.t.Fatal(err)
	}
}

// receive has a stranger send a message, and returns the last reply.
func (r *relayed) receive(from, to string, fields ...string) string {
	r.t.Helper()
	content := strings.Join(append(fields, "Subject: Hello", "", "It is on its way.", "."), "\r\n")
	replies := dialogue(r.t, r.lab, 25, "EHLO mx.author.example", "MAIL FROM:<"+from+">", "RCPT TO:<"+to+">", "DATA", content)
	if !strings.HasPrefix(replies[4], "354 ") {
		return replies[3]
	}
	return replies[5]
}

// forwarded is the message that out.example has got for one sent to an address here.
func (r *relayed) forwarded(from, to string, fields ...string) mailtest.Message {
	r.t.Helper()
	before := len(r.out.Messages())
	if reply := r.receive(from, to, fields...); !strings.HasPrefix(reply, "250 ") {
		r.t.Fatalf("from %s to %s: %s", from, to, reply)
	}
	r.lab.Drain(time.Minute)
	got := r.out.Messages()
	if len(got) != before+1 {
		r.t.Fatalf("from %s to %s: %d messages went on", from, to, len(got)-before)
	}
	return got[before]
}

// spf is the verdict of a receiver on a message, were its reverse-path another one.
func (r *relayed) spf(m mailtest.Message, reversePath string) spf.Result {
	r.t.Helper()
	result, err := spf.CheckHostWithSender(m.Client.AsSlice(), m.HELO, reversePath, spf.WithResolver(r.dns), spf.WithContext(r.t.Context()))
	if err != nil && result != spf.Pass && result != spf.Fail {
		r.t.Logf("SPF of %s: %v", reversePath, err)
	}
	return result
}

// spfResolver is the DNS of a lab for the SPF library.
type spfResolver struct{ transport.ClientResolver }

func (r spfResolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return r.Text(ctx, name)
}

func (r spfResolver) LookupMX(ctx context.Context, name string) (all []*net.MX, err error) {
	found, err := r.MX(ctx, name)
	for _, mx := range found {
		all = append(all, &net.MX{Host: mx.Host, Pref: mx.Preference})
	}
	return all, err
}

func (r spfResolver) LookupIPAddr(ctx context.Context, host string) (all []net.IPAddr, err error) {
	found, err := r.Addrs(ctx, host)
	for _, a := range found {
		all = append(all, net.IPAddr{IP: a.AsSlice()})
	}
	return all, err
}

func (r spfResolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	return r.Names(ctx, netip.MustParseAddr(addr))
}

// ringOf is a ring with one secret that the test knows.
func ringOf(secret string) mailcore.SecretRing {
	return mailcore.SecretRingFunc(func(_ context.Context, domain string) (*srs.Rewriter, error) {
		return srs.New(domain, []byte(secret))
	})
}

// srsOf is the end of a rewritten reverse-path, behind the hash and the day.
func srsOf(t *testing.T, reversePath string) string {
	t.Helper()
	fields := strings.SplitN(reversePath, "=", 4)
	if len(fields) != 4 || fields[0] != "SRS0" {
		t.Errorf("reverse-path %q is not rewritten", reversePath)
		return reversePath
	}
	return fields[3]
}

func TestAForwardedCopyPassesSPFAndItsBounceFindsTheAuthor(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{})
		m := r.forwarded(authorAddr, "fwd@shop.example", "From: Alice <alice@author.example>")
		if got := r.spf(m, authorAddr); got != spf.Fail {
			t.Errorf("SPF of the copy under the reverse-path of its author: %s, the test shows nothing", got)
		}
		if got := r.spf(m, m.ReversePath); got != spf.Pass {
			t.Errorf("SPF of the copy from %s under %s: %s", m.Client, m.ReversePath, got)
		}
		if got := srsOf(t, m.ReversePath); got != "author.example=alice@shop.example" {
			t.Errorf("the reverse-path is %s", m.ReversePath)
		}

		// Days later out.example cannot deliver it after all, and says so.
		for range 3 {
			if _, err := r.srv.Sites().RotateSRS(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
			r.srv = lab.Restart()
			lab.Wait(7 * 24 * time.Hour)
		}
		if reply := r.receive("", m.ReversePath, "From: MAILER-DAEMON@out.example"); !strings.HasPrefix(reply, "250 ") {
			t.Fatalf("the bounce after 21 days: %s", reply)
		}
		lab.Drain(time.Minute)
		got := r.author.Messages()
		if len(got) != 1 || got[0].ReversePath != "" || !cmp.Equal(got[0].Recipients, []string{authorAddr}) {
			t.Errorf("the author has got %+v", got)
		}
		lab.Wait(24 * time.Hour)
		want := "550 5.1.1 <" + m.ReversePath + ">: Recipient address rejected: User unknown in virtual mailbox table"
		if reply := r.receive("", m.ReversePath); reply != want {
			t.Errorf("the bounce after 22 days: %s, want %s", reply, want)
		}
	})
}

func TestOnlyWhatAnAliasSendsOnForAStrangerIsRewritten(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{Origin: "panel.example", Postmaster: "x@out.example"})
		store := lab.Exchanger("store.example")
		addSite(t, r.srv, "other", "other.example", "bücher.example")
		if err := r.srv.Sites().AddDomain(t.Context(), sites.Domain{Name: "gateway.example", Site: "other", Class: sites.Relay}); err != nil {
			t.Fatal(err)
		}
		box := func(address string) {
			if err := r.srv.Sites().SetMailbox(t.Context(), sites.Mailbox{Address: address, Deliver: "smtp:[store.example]:25"}); err != nil {
				t.Fatal(err)
			}
		}
		box("bob@shop.example")
		r.alias("bob2@shop.example", "bob@shop.example")
		r.alias("both@shop.example", "bob@shop.example", "x@out.example")
		r.alias("hop@shop.example", "hop@other.example")
		r.alias("hop@other.example", "x@out.example")
		r.alias("idn@bücher.example", "x@out.example")
		r.alias("root", "x@out.example")
		rewritten := func(m mailtest.Message) string {
			if !strings.HasPrefix(m.ReversePath, "SRS") {
				return m.ReversePath
			}
			return srsOf(t, m.ReversePath)
		}
		for _, tt := range []struct{ what, from, to, stored, out string }{
			{"an alias", authorAddr, "fwd@shop.example", "-", "author.example=alice@shop.example"},
			{"a mailbox", authorAddr, "bob@shop.example", authorAddr, "-"},
			{"an alias of a mailbox", authorAddr, "bob2@shop.example", authorAddr, "-"},
			{"a copy of each kind", authorAddr, "both@shop.example", authorAddr, "author.example=alice@shop.example"},
			{"two aliases: the last sends it out", authorAddr, "hop@shop.example", "-", "author.example=alice@other.example"},
			{"an alias in U-labels", authorAddr, "idn@bücher.example", "-", "author.example=alice@xn--bcher-kva.example"},
			{"an alias of the host itself", authorAddr, "root@mail.panel.example", "-", "author.example=alice@mail.panel.example"},
			{"the same, by its origin", authorAddr, "root@panel.example", "-", "author.example=alice@mail.panel.example"},
			{"the postmaster of the host", authorAddr, "postmaster", "-", "author.example=alice@mail.panel.example"},
			{"the postmaster of a site", authorAddr, "postmaster@shop.example", "-", "author.example=alice@shop.example"},
			{"the null reverse-path", "", "fwd@shop.example", "-", ""},
			{"a sender of this site", "carol@shop.example", "fwd@shop.example", "-", "carol@shop.example"},
			{"a sender of a domain that we only pass mail on for", "erin@gateway.example", "fwd@shop.example", "-", "gateway.example=erin@shop.example"},
			{"a sender of another site here", "dave@OTHER.example", "fwd@shop.example", "-", "dave@OTHER.example"},
			{"a sender of the host itself", "root@mail.panel.example", "fwd@shop.example", "-", "root@mail.panel.example"},
			{"a domain below one that is here", "a@sub.shop.example", "fwd@shop.example", "-", "sub.shop.example=a@shop.example"},
		} {
			before := [2]int{len(store.Messages()), len(r.out.Messages())}
			replies := dialogue(t, lab, 25, "EHLO mx.author.example", "MAIL FROM:<"+tt.from+"> SMTPUTF8", "RCPT TO:<"+tt.to+">", "DATA", "Subject: x\r\n\r\nx\r\n.")
			if !strings.HasPrefix(replies[5], "250 ") {
				t.Errorf("%s: %q", tt.what, replies)
				continue
			}
			lab.Drain(time.Minute)
			got := [2]string{"-", "-"}
			for _, m := range store.Messages()[before[0]:] {
				got[0] = rewritten(m)
			}
			for _, m := range r.out.Messages()[before[1]:] {
				got[1] = rewritten(m)
			}
			if want := [2]string{tt.stored, tt.out}; got != want {
				t.Errorf("%s: reverse-paths %q, want %q", tt.what, got, want)
			}
		}
	})
}

func TestAReportOfOursGoesToTheAuthorAndNotThroughTheRewrittenAddress(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{})
		r.out.Answer(mailtest.Rcpt, transport.Replyf(550, "5.1.1", "nobody here"))
		if reply := r.receive(authorAddr, "fwd@shop.example"); !strings.HasPrefix(reply, "250 ") {
			t.Fatal(reply)
		}
		lab.Drain(time.Minute)
		got := r.author.Messages()
		if len(got) != 1 || got[0].ReversePath != "" || !cmp.Equal(got[0].Recipients, []string{authorAddr}) {
			t.Fatalf("the author has got %+v", got)
		}
		if strings.Contains(got[0].Content, "SRS0") || !strings.Contains(got[0].Content, "Original-Recipient: rfc822; fwd@shop.example") {
			t.Errorf("the report:\n%s", got[0].Content)
		}
	})
}

func TestMailThatForwardersPassRoundEndsAndItsAuthorIsToldOnce(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{})
		m := r.forwarded(authorAddr, "fwd@shop.example")
		// out.example sends it back, again and again, under the reverse-path it got.
		rounds, reply := 1, ""
		for ; rounds < 200; rounds++ {
			content := strings.TrimSuffix(m.Content, "\r\n") + "\r\n."
			replies := dialogue(t, lab, 25, "EHLO mx.out.example", "MAIL FROM:<"+m.ReversePath+">", "RCPT TO:<fwd@shop.example>", "DATA", content)
			if reply = replies[5]; !strings.HasPrefix(reply, "250 ") {
				break
			}
			lab.Drain(time.Minute)
			got := r.out.Messages()
			if len(got) != rounds+1 || got[rounds].ReversePath != m.ReversePath {
				t.Fatalf("round %d: %d copies, the last from %s; the first was from %s", rounds, len(got), got[len(got)-1].ReversePath, m.ReversePath)
			}
			m = got[rounds]
		}
		if rounds != 49 || reply != "554 5.4.6 Error: too many hops" {
			t.Errorf("%d rounds, then %s", rounds, reply)
		}
		if reply := r.receive("", m.ReversePath, "From: MAILER-DAEMON@out.example"); !strings.HasPrefix(reply, "250 ") {
			t.Fatal(reply)
		}
		lab.Drain(time.Minute)
		if got := r.author.Messages(); len(got) != 1 || got[0].Recipients[0] != authorAddr {
			t.Errorf("the author has got %+v", got)
		}
	})
}
