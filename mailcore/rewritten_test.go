package mailcore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/srs"
	"github.com/panelmail/panelmail/transport"
)

// rewrittenAt is the reverse-path of a copy that an alias in a domain sends on for a
// sender, with ringOf("secret").
func rewrittenAt(t *testing.T, domain, sender string) string {
	t.Helper()
	ring, err := ringOf("secret").Rewriter(t.Context(), domain)
	if err != nil {
		t.Fatal(err)
	}
	rewritten, err := ring.Forward(sender)
	if err != nil {
		t.Fatal(err)
	}
	return rewritten
}

// rcpt is the reply to RCPT for a message from a sender.
func rcpt(t *testing.T, lab *mailtest.Lab, from, to string) string {
	t.Helper()
	return dialogue(t, lab, 25, "EHLO mx.out.example", "MAIL FROM:<"+from+">", "RCPT TO:<"+to+">")[3]
}

func TestRcptTellsRewrittenAddressesOfOursFromOthers(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{Forwarding: mailcore.Forwarding{Secrets: ringOf("secret"), WrongAddresses: -1}})
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(r.srv.Sites().AddDomain(t.Context(), sites.Domain{Name: "gateway.example", Site: "shop", Class: sites.Relay}))
		must(r.srv.Sites().AddDomain(t.Context(), sites.Domain{Name: "aliases.example", Site: "shop", Class: sites.Alias}))
		r.alias("@shop.example", "x@out.example")
		good := rewrittenAt(t, "shop.example", authorAddr)
		hash := good[len("SRS0="):][:8]
		forged := strings.Replace(good, hash, "AAAAAAAA", 1)
		plus := "SRS0+" + good[len("SRS0="):]
		unknown := func(address, table string) string {
			return "550 5.1.1 <" + address + ">: Recipient address rejected: User unknown in " + table + " table"
		}
		const taken = "250 2.1.5 Ok"
		at := func(domain string) string { return strings.Replace(good, "@shop.example", "@"+domain, 1) }
		for _, tt := range []struct{ what, from, to, want string }{
			{"one of ours", "", good, taken},
			{"in another case", "", strings.ToLower(good), taken},
			{"with another separator", "", plus, taken},
			{"quoted though it needs none", "", `"` + strings.Replace(good, "@", `"@`, 1), taken},
			{"with the domain of another of ours", "", at("aliases.example"), taken},
			{"at the host itself", "", at("mail.panel.example"), taken},
			{"at a domain that we only pass mail on for", "", at("gateway.example"), taken},
			{"forged, whatever catch-all there is", "", forged, unknown(forged, "virtual mailbox")},
			{"forged, in an alias domain", "", strings.Replace(forged, "shop.", "aliases.", 1), unknown(strings.Replace(forged, "shop.", "aliases.", 1), "virtual alias")},
			{"forged, at the host itself", "", "SRS0=x@mail.panel.example", unknown("SRS0=x@mail.panel.example", "local recipient")},
			{"forged, where the host behind us may have made it", "", strings.Replace(forged, "shop.", "gateway.", 1), taken},
			{"a route through that host", "", "SRS0=x%out.example@gateway.example", unknown("SRS0=x%out.example@gateway.example", "relay recipient")},
			{"with a hash cut short", "", strings.Replace(good, hash, hash[:4], 1), unknown(strings.Replace(good, hash, hash[:4], 1), "virtual mailbox")},
			{"cut off", "", "SRS0=" + hash + "@shop.example", unknown("SRS0="+hash+"@shop.example", "virtual mailbox")},
			{"no tag at all", "", "SRS0X@shop.example", taken}, // the catch-all's
			{"of another host", "", "SRS0=" + hash + "=AA=a.example=b@elsewhere.example", "554 5.7.1 <SRS0=" + hash + "=AA=a.example=b@elsewhere.example>: Relay access denied"},
			{"from somebody", "x@out.example", good, "550 5.7.1 <" + good + ">: Recipient address rejected: only bounces are taken"},
			{"forged, from somebody", "x@out.example", forged, unknown(forged, "virtual mailbox")},
			{"from the author", authorAddr, good, "550 5.7.1 <" + good + ">: Recipient address rejected: only bounces are taken"},
			{"from a site here", "bob@shop.example", good, "550 5.7.1 <" + good + ">: Recipient address rejected: only bounces are taken"},
		} {
			if got := rcpt(t, lab, tt.from, tt.to); got != tt.want {
				t.Errorf("%s: %s: %s, want %s", tt.what, tt.to, got, tt.want)
			}
		}
	})
}

func TestAnAddressOfWhateverFormFindsTheWayBackThroughARewrittenOne(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{Forwarding: mailcore.Forwarding{Secrets: ringOf("secret")}})
		for _, sender := range []string{
			"Alice.B@author.example", "a+b=c@author.example", "bounce=list=a%b!c@author.example", `"a b"@author.example`, `"a\"@\\b"@author.example`,
			"-x@author.example", "SRS0=AAAAAAAA=BB=first.example=u@author.example", "SRS1=AAAAAAAA=author.example==AAAAAAAA=BB=first.example=u@second.example",
			"bounces+1234567-0a1b-somebody=their-company.example@author.example", strings.Repeat("l", 128) + "@author.example",
		} {
			m := r.forwarded(sender, "fwd@shop.example")
			before := len(r.author.Messages())
			// The exchangers of the lab have taken the quotes off.
			at := strings.LastIndex(m.ReversePath, "@")
			m.ReversePath = address.Address{Local: m.ReversePath[:at], Domain: m.ReversePath[at+1:]}.String()
			if reply := r.receive("", m.ReversePath); !strings.HasPrefix(reply, "250 ") {
				t.Errorf("%s: a bounce to %s: %s", sender, m.ReversePath, reply)
				continue
			}
			lab.Drain(time.Minute)
			want := strings.NewReplacer(`"a b"`, "a b", `"a\"@\\b"`, `a"@\b`).Replace(sender)
			if strings.HasPrefix(sender, "SRS1=") { // it goes to the first forwarder
				want = "SRS0=AAAAAAAA=BB=first.example=u@author.example"
			}
			got := r.author.Messages()[before:]
			if len(got) != 1 || got[0].Recipients[0] != want {
				t.Errorf("%s: the bounce to %s went to %+v", sender, m.ReversePath, got)
			}
		}
	})
}

func TestASenderThatNoAddressCanCarryLeavesItsBouncesToThePostmaster(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{Forwarding: mailcore.Forwarding{Secrets: ringOf("secret")}})
		for _, sender := range []string{strings.Repeat("l", 250) + "@author.example", "SRS1=cut@author.example"} {
			m := r.forwarded(sender, "fwd@shop.example")
			if m.ReversePath != "postmaster@shop.example" {
				t.Errorf("from %s: reverse-path %s", sender, m.ReversePath)
			}
			if got := r.spf(m, m.ReversePath); got != "pass" {
				t.Errorf("from %s: SPF %s", sender, got)
			}
		}
	})
}

func TestMailToARewrittenAddressIsNeverRelayedToAnybodyElse(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{Forwarding: mailcore.Forwarding{Secrets: ringOf("secret"), WrongAddresses: -1}})
		good := rewrittenAt(t, "shop.example", authorAddr)
		for _, to := range []string{
			strings.Replace(good, "alice", "mallory", 1), strings.Replace(good, "author.example", "out.example", 1),
			"SRS0=x=y=out.example=u@shop.example", "SRS1=x=out.example==x=y=out.example=u@shop.example",
			`"SRS0=x=y=out.example=u@out.example"@shop.example`, "SRS0=u%out.example@shop.example", "out.example!SRS0=u@shop.example",
			"SRS0=out.example!u@shop.example", "SRS0=@shop.example", "SRS0=====@shop.example", "SRS1=====@shop.example", "srs0+u@out.example",
			strings.Replace(good, "@shop.example", "@out.example", 1),
		} {
			if got := rcpt(t, lab, "", to); !strings.HasPrefix(got, "5") {
				t.Errorf("RCPT TO:<%s>: %s", to, got)
			}
		}
		if n := queued(t, r.srv); n > 0 {
			t.Errorf("%d messages are queued", n)
		}
	})
}

func TestARewrittenAddressTakesSoManyBouncesADay(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{Forwarding: mailcore.Forwarding{Secrets: ringOf("secret"), BouncesPerDay: 4}})
		good := rewrittenAt(t, "shop.example", "Alice@author.example")
		other := rewrittenAt(t, "shop.example", "bob@author.example")
		deferred := "450 4.7.1 <" + good + ">: Recipient address rejected: too many messages, try later"
		for range 10 { // whether an address works is asked without sending anything
			if reply := rcpt(t, lab, "", good); reply != "250 2.1.5 Ok" {
				t.Fatal(reply)
			}
		}
		for i := range 4 {
			to := good
			if i%2 == 0 { // the same address, written otherwise
				to = strings.ToLower("SRS0-" + good[len("SRS0="):])
			}
			if reply := r.receive("", to); !strings.HasPrefix(reply, "250 ") {
				t.Fatalf("bounce %d: %s", i, reply)
			}
		}
		if reply := rcpt(t, lab, "", good); reply != deferred {
			t.Errorf("one more: %s, want %s", reply, deferred)
		}
		lab.Wait(time.Hour)
		tomorrow := rewrittenAt(t, "shop.example", "Alice@author.example")
		if reply := r.receive("", tomorrow); !strings.HasPrefix(reply, "450 4.7.1 ") {
			t.Errorf("one more, an hour later: %s", reply)
		}
		if reply := r.receive("", other); !strings.HasPrefix(reply, "250 ") {
			t.Errorf("for somebody else: %s", reply)
		}
		lab.Wait(6 * time.Hour)
		if reply := r.receive("", good); !strings.HasPrefix(reply, "250 ") {
			t.Errorf("a quarter of a day later: %s", reply)
		}
		lab.Drain(time.Minute)
		if got := r.author.Messages(); len(got) != 6 {
			t.Errorf("%d went on", len(got))
		}
	})
}

func TestOneMessageHasNoMoreCopiesForAnAuthorThanADayHas(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{Forwarding: mailcore.Forwarding{Secrets: ringOf("secret"), BouncesPerDay: 4}})
		good := rewrittenAt(t, "shop.example", authorAddr)
		hash := good[len("SRS0="):][:8]
		lines := []string{"EHLO mx.out.example", "MAIL FROM:<>"}
		const spellings = 10
		for i := range spellings { // what stands behind the hash is not looked at
			lines = append(lines, fmt.Sprintf("RCPT TO:<%s>", strings.Replace(good, hash, fmt.Sprintf("%sZ%d", hash, i), 1)))
		}
		replies := dialogue(t, lab, 25, append(lines, "DATA", "Subject: x\r\n\r\nx\r\n.")...)
		taken := 0
		for _, reply := range replies[3:][:spellings] {
			switch {
			case strings.HasPrefix(reply, "250 "):
				taken++
			case !strings.HasPrefix(reply, "450 4.7.1 "):
				t.Error(reply)
			}
		}
		lab.Drain(time.Minute)
		copies := 0
		for _, m := range r.author.Messages() {
			copies += len(m.Recipients)
		}
		if taken != 4 || copies != 4 {
			t.Errorf("%d addresses were taken, %d copies went on", taken, copies)
		}
		if reply := rcpt(t, lab, "", good); !strings.HasPrefix(reply, "450 4.7.1 ") {
			t.Errorf("one more: %s", reply)
		}
	})
}

func TestABounceThatIsNotStoredDoesNotCount(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{Forwarding: mailcore.Forwarding{Secrets: ringOf("secret"), BouncesPerDay: 2}})
		good := rewrittenAt(t, "shop.example", authorAddr)
		gone := errors.New("the client is gone")
		for range 5 {
			m := hello("", good)
			m.Content = io.MultiReader(strings.NewReader("Subject: x\n\nx\n"), iotest.ErrReader(gone))
			if _, err := r.srv.Submit(t.Context(), m); !errors.Is(err, gone) {
				t.Fatal(err)
			}
		}
		for i, want := range []string{"250 ", "250 ", "450 "} {
			if reply := r.receive("", good); !strings.HasPrefix(reply, want) {
				t.Errorf("bounce %d: %s, want %s", i, reply, want)
			}
		}
	})
}

func TestBouncesThatComeTogetherAreCountedWhenTheyAreStored(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{Forwarding: mailcore.Forwarding{Secrets: ringOf("secret"), BouncesPerDay: 1}})
		good := rewrittenAt(t, "shop.example", authorAddr)
		first, second := lab.Dial(25), lab.Dial(25)
		defer first.Close()
		defer second.Close()
		open := []string{"EHLO mx.out.example", "MAIL FROM:<>", "RCPT TO:<" + good + ">"}
		converse(t, first, open...)
		converse(t, second, open...)
		fmt.Fprint(first, "DATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n")
		lab.Drain(time.Minute)
		fmt.Fprint(second, "DATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n")
		lab.Drain(time.Minute)
		if got := len(r.author.Messages()); got != 1 {
			t.Errorf("%d went on", got)
		}
	})
}

func TestWhoGuessesRewrittenAddressesIsNotAnsweredForAWhile(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		ring := ringOf("secret")
		asked := 0
		counted := mailcore.SecretRingFunc(func(ctx context.Context, domain string) (*srs.Rewriter, error) {
			asked++
			return ring.Rewriter(ctx, domain)
		})
		trusted := netip.MustParsePrefix("192.0.2.128/25")
		newRelayed(t, lab, mailcore.Config{RelayNetworks: []netip.Prefix{trusted}, Forwarding: mailcore.Forwarding{Secrets: counted, WrongAddresses: 5}})
		good := rewrittenAt(t, "shop.example", authorAddr)
		try := func(from, to string) string {
			conn := lab.DialFrom(netip.MustParseAddr(from), 25)
			defer conn.Close()
			return converse(t, conn, "EHLO guess.example", "MAIL FROM:<>", "RCPT TO:<"+to+">")[3]
		}
		const wrong = "SRS0=AAAAAAAA=AA=author.example=alice@shop.example"
		for i := range 5 {
			if reply := try("192.0.2.1", wrong); !strings.HasPrefix(reply, "550 5.1.1 ") {
				t.Fatalf("guess %d: %s", i, reply)
			}
		}
		asked = 0
		deferred := "450 4.7.1 <" + good + ">: Recipient address rejected: too many unknown addresses, try later"
		if reply := try("192.0.2.1", good); reply != deferred || asked > 0 {
			t.Errorf("of the same client: %s, want %s; %d looked at", reply, deferred, asked)
		}
		if reply := try("192.0.2.2", good); reply != "250 2.1.5 Ok" {
			t.Errorf("of another: %s", reply)
		}
		for range 10 {
			if reply := try("192.0.2.129", wrong); !strings.HasPrefix(reply, "550 5.1.1 ") {
				t.Fatalf("of a network that may relay: %s", reply)
			}
		}
		lab.Wait(15 * time.Minute)
		if reply := try("192.0.2.1", good); reply != "250 2.1.5 Ok" {
			t.Errorf("later: %s", reply)
		}
	})
}

func TestMailOfAnybodyToARewrittenAddressIsSentOnIfThePanelSaysSo(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{Forwarding: mailcore.Forwarding{Secrets: ringOf("secret"), AnySender: true}})
		if reply := r.receive("x@out.example", rewrittenAt(t, "shop.example", authorAddr)); !strings.HasPrefix(reply, "250 ") {
			t.Fatal(reply)
		}
		lab.Drain(time.Minute)
		got := r.author.Messages()
		if len(got) != 1 || srsOf(t, got[0].ReversePath) != "out.example=x@shop.example" {
			t.Errorf("the author has got %+v", got)
		}
	})
}

func TestADomainForRewrittenAddressesAloneMayBeOfNoSite(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		forwarding := mailcore.Forwarding{Secrets: ringOf("secret"), Domain: "SRS.panel.example."}
		r := newRelayed(t, lab, mailcore.Config{Forwarding: forwarding})
		panel := netip.MustParseAddr("198.51.100.8")
		lab.Local(panel)
		if err := r.srv.Sites().SetSource(t.Context(), sites.Source{Key: "default", IPv4: panel}); err != nil {
			t.Fatal(err)
		}
		m := r.forwarded(authorAddr, "fwd@shop.example")
		if srsOf(t, m.ReversePath) != "author.example=alice@srs.panel.example" || m.Client != panel {
			t.Errorf("%s from %s", m.ReversePath, m.Client)
		}
		if reply := rcpt(t, lab, "", m.ReversePath); reply != "250 2.1.5 Ok" {
			t.Error(reply)
		}
		if reply := rcpt(t, lab, "", "u@srs.panel.example"); !strings.HasPrefix(reply, "550 5.1.1 ") {
			t.Error(reply)
		}
		if reply := rcpt(t, lab, "", "postmaster@srs.panel.example"); reply != "250 2.1.5 Ok" {
			t.Error(reply)
		}
	})
	for _, domain := range []string{"[192.0.2.1]", "no domain", "-"} {
		err := mailcore.Config{Hostname: "mail.panel.example", Forwarding: mailcore.Forwarding{Domain: domain}}.Check()
		if err == nil || !strings.Contains(err.Error(), "Forwarding.Domain") {
			t.Errorf("domain %q: %v", domain, err)
		}
	}
}

func TestBouncesAreNotLostWhenForwardingIsConfiguredOtherwise(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{})
		before := r.forwarded(authorAddr, "fwd@shop.example")
		if err := lab.Reload(mailcore.Config{Forwarding: mailcore.Forwarding{Domain: "srs.panel.example"}}); err != nil {
			t.Fatal(err)
		}
		after := r.forwarded(authorAddr, "fwd@shop.example")
		if domain := "@srs.panel.example"; !strings.HasSuffix(after.ReversePath, domain) || strings.HasSuffix(before.ReversePath, domain) {
			t.Fatalf("%s, then %s", before.ReversePath, after.ReversePath)
		}
		for _, m := range []mailtest.Message{before, after} {
			if reply := rcpt(t, lab, "", m.ReversePath); reply != "250 2.1.5 Ok" {
				t.Errorf("%s: %s", m.ReversePath, reply)
			}
		}
		crossed := strings.Replace(before.ReversePath, "shop.example", "srs.panel.example", 1)
		if reply := rcpt(t, lab, "", crossed); !strings.HasPrefix(reply, "550 5.1.1 ") {
			t.Errorf("at the domain of the other: %s", reply)
		}
	})
}

func TestTroubleWithTheSecretsDefersWhatNeedsThem(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		broken := mailcore.SecretRingFunc(func(context.Context, string) (*srs.Rewriter, error) {
			return nil, errors.New("the disk is on fire")
		})
		r := newRelayed(t, lab, mailcore.Config{Forwarding: mailcore.Forwarding{Secrets: broken}})
		r.alias("here@shop.example", "postmaster@mail.panel.example")
		for _, tt := range []struct{ from, to, want string }{
			{authorAddr, "fwd@shop.example", "451 4.3.0 <fwd@shop.example>: Temporary lookup failure"},
			{"", rewrittenAt(t, "shop.example", authorAddr), "451 4.3.0 <" + rewrittenAt(t, "shop.example", authorAddr) + ">: Temporary lookup failure"},
			{"", "fwd@shop.example", "250 2.1.5 Ok"},
			{authorAddr, "here@shop.example", "250 2.1.5 Ok"},
		} {
			if got := rcpt(t, lab, tt.from, tt.to); got != tt.want {
				t.Errorf("from %q to %s: %s, want %s", tt.from, tt.to, got, tt.want)
			}
		}
	})
}

func TestTheQueueKeepsTheAuthorBesideTheReversePathOfEachCopy(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{Forwarding: mailcore.Forwarding{Secrets: ringOf("secret")}})
		r.out.Always(mailtest.Rcpt, transport.Replyf(451, "4.7.1", "later"))
		if reply := r.receive(authorAddr, "fwd@shop.example"); !strings.HasPrefix(reply, "250 ") {
			t.Fatal(reply)
		}
		if n := queued(t, r.srv); n != 1 {
			t.Fatalf("%d messages are queued", n)
		}
		for e, err := range r.srv.Queue().Entries(t.Context(), queue.Match{All: true}) {
			if err != nil {
				t.Fatal(err)
			}
			got := []string{e.Envelope.ReversePath, e.Envelope.Recipients[0].Address, e.Envelope.Recipients[0].ORcpt, srsOf(t, e.Envelope.Recipients[0].ReversePath)}
			want := []string{authorAddr, "x@out.example", "rfc822;fwd@shop.example", "author.example=alice@shop.example"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the queue has (-want +got):\n%s", diff)
			}
		}
	})
}
