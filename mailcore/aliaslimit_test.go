package mailcore_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

const expansionError = "451 4.6.0 Alias expansion error"

// fan sets an alias to n addresses of out.example, by way of aliases of at most
// width targets.
func (v *village) fan(pattern string, n, width int) {
	v.t.Helper()
	name, domain, _ := strings.Cut(pattern, "@")
	var top sites.AliasEntry
	var all []sites.AliasEntry
	for done := 0; done < n; done += width {
		a := sites.AliasEntry{Pattern: fmt.Sprintf("%s-%d@%s", name, done, domain)}
		for i := done; i < min(n, done+width); i++ {
			a.Targets = append(a.Targets, fmt.Sprintf("%s%d@out.example", name, i))
		}
		all, top.Targets = append(all, a), append(top.Targets, a.Pattern)
	}
	top.Pattern = pattern
	v.must(v.srv.Sites().SetAliases(v.t.Context(), append(all, top)))
}

// chain sets aliases one behind the other, so that n addresses stand behind each
// other with the last, which is outside.
func (v *village) chain(name string, n int) {
	v.t.Helper()
	var all []sites.AliasEntry
	for i := range n - 1 {
		target := fmt.Sprintf("%s%d@shop.example", name, i+1)
		if i == n-2 {
			target = name + "@out.example"
		}
		all = append(all, sites.AliasEntry{Pattern: fmt.Sprintf("%s%d@shop.example", name, i), Targets: []string{target}})
	}
	v.must(v.srv.Sites().SetAliases(v.t.Context(), all))
}

func TestCirclesAndExpansionsBeyondTheLimitsAreRefusedAndNothingIsQueued(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{})
		v.aliases(
			"a@shop.example: b@shop.example", "b@shop.example: a@shop.example",
			"c@shop.example: x@out.example, d@shop.example", "d@shop.example: C+ext@shop.example",
			"self@list.example: @shop.example", "@shop.example: @list.example",
			"long@shop.example: "+strings.Repeat("l", 250)+"@out.example",
		)
		v.fan("more@other.example", 1001, 1001)
		v.fan("huge@other.example", 10_000, 100)
		v.must(v.srv.Sites().SetAlias(t.Context(), sites.AliasEntry{Pattern: "wide@other.example", Targets: func() (all []string) {
			for i := range 10_000 {
				all = append(all, fmt.Sprintf("w%d@out.example", i))
			}
			return all
		}()}))
		v.chain("deep", 1000)
		v.chain("deeper", 1001)
		for _, tt := range []struct{ what, to, want string }{
			{"two aliases that name each other", "a@shop.example", expansionError},
			{"a circle beside a good target", "c@shop.example", expansionError},
			{"two catch-alls that name each other", "self@list.example", expansionError},
			{"a thousand recipients and one", "more@other.example", expansionError},
			{"ten thousand by way of a hundred", "huge@other.example", expansionError},
			{"ten thousand at once", "wide@other.example", expansionError},
			{"a thousand addresses behind each other and one", "deeper0@shop.example", expansionError},
			{"a local-part of 257 octets", "long+extens@shop.example", expansionError},
			{"a thousand addresses behind each other", "deep0@shop.example", ""},
			{"a local-part of 256 octets", "long+exten@shop.example", ""},
		} {
			replies, delivered := v.send(tt.to)
			if tt.want != "" && (replies[0] != tt.want || delivered != nil) {
				t.Errorf("%s: %s, delivered to %v; want %s", tt.what, replies[0], delivered, tt.want)
			}
			if tt.want == "" && len(delivered) != 1 {
				t.Errorf("%s: %s, delivered to %v", tt.what, replies[0], delivered)
			}
		}
	})
}

func TestAThousandRecipientsOfOneAliasAreAllServed(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{Recipients: 2})
		v.fan("many@shop.example", 1000, 300)
		v.fan("less@shop.example", 900, 300)
		replies, delivered := v.send("many@shop.example", "less@shop.example", "many@shop.example")
		want := []string{"250 2.1.5 Ok", "250 2.1.5 Ok", "452 4.5.3 Error: too many recipients"} // forward-paths are counted
		if diff := cmp.Diff(want, replies); diff != "" {
			t.Errorf("replies (-want +got):\n%s", diff)
		}
		if n := len(slices.Compact(delivered)); n != 1900 {
			t.Errorf("%d recipients", n)
		}
	})
}

func TestOneMessageExpandsToTenThousandRecipientsAtMost(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{})
		lines := []string{"EHLO stranger.test", "MAIL FROM:<x@stranger.test>"}
		for i := range 11 {
			name := string(rune('a'+i)) + "@shop.example"
			v.fan(name, 1000, 1000)
			lines = append(lines, "RCPT TO:<"+name+">")
		}
		replies := dialogue(t, lab, 25, append(lines, "RSET")...)
		for i, reply := range replies[3:13] {
			if reply != "250 2.1.5 Ok" {
				t.Errorf("recipient %d: %s", i, reply)
			}
		}
		if want := "452 4.5.3 Error: too many recipients"; replies[13] != want {
			t.Errorf("the eleventh: %s, want %s", replies[13], want)
		}
	})
}

func TestWhoIsWrittenToDirectlyAndThroughAnAliasGetsBoth(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{})
		v.mailboxes("bob@shop.example")
		v.aliases("info@shop.example: bob@shop.example")
		_, delivered := v.send("bob@shop.example", "info@shop.example", "info@shop.example")
		if diff := cmp.Diff([]string{"store bob@shop.example", "store bob@shop.example"}, delivered); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}

func TestAReportNamesTheAddressThatItsReaderWroteTo(t *testing.T) {
	for _, tt := range []struct{ parameter, want string }{
		{"", "Original-Recipient: rfc822; info@shop.example"},
		{" ORCPT=rfc822;first@elsewhere.example", "Original-Recipient: rfc822; first@elsewhere.example"},
	} {
		mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
			v := newVillage(t, lab, mailcore.Config{})
			stranger := lab.Domain("stranger.test")
			v.aliases("info@shop.example: x@out.example")
			v.out.Always(mailtest.Rcpt, transport.Replyf(550, "5.1.1", "no such user"))
			dialogue(t, lab, 25, "EHLO stranger.test", "MAIL FROM:<x@stranger.test>", "RCPT TO:<info@shop.example>"+tt.parameter, "DATA", "Subject: x\r\n\r\nx\r\n.")
			lab.Drain(time.Hour)
			got := stranger.Messages()
			if len(got) != 1 || !strings.Contains(got[0].Content, tt.want) {
				t.Errorf("no %s in %+v", tt.want, got)
			}
			if len(got) == 1 && strings.Contains(got[0].Content, "for <x@out.example>") {
				t.Errorf("Received says where the alias leads:\n%s", got[0].Content)
			}
		})
	}
}

func TestAMessageLargerThanAMailboxTakesIsRefusedInTheDialogue(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{})
		v.mailboxes("bob@shop.example")
		v.must(v.srv.Sites().SetMailbox(t.Context(), sites.Mailbox{Address: "small@shop.example", Deliver: "smtp:[store.example]:25", MaxSize: 1000}))
		v.aliases("info@shop.example: small@shop.example")
		const tooLarge = "552 5.2.3 Error: message is larger than a recipient's mailbox takes"
		replies := dialogue(t, lab, 25, "EHLO stranger.test", "MAIL FROM:<x@stranger.test> SIZE=1001", "RCPT TO:<info@shop.example>", "RCPT TO:<bob@shop.example>", "RSET", "MAIL FROM:<x@stranger.test> SIZE=1000", "RCPT TO:<info@shop.example>")
		if diff := cmp.Diff([]string{tooLarge, "250 2.1.5 Ok"}, []string{replies[3], replies[4]}); diff != "" || replies[7] != "250 2.1.5 Ok" {
			t.Errorf("declared (-want +got):\n%sat the limit: %s", diff, replies[7])
		}
		header := "Subject: x\r\n\r\n"
		for size, want := range map[int]string{1000: "250 2.0.0", 1001: tooLarge} {
			body := strings.Repeat("x", 498) + "\r\n" + strings.Repeat("y", size-500-len(header)-2) + "\r\n."
			replies := dialogue(t, lab, 25, "EHLO stranger.test", "MAIL FROM:<x@stranger.test>", "RCPT TO:<bob@shop.example>", "RCPT TO:<info@shop.example>", "DATA", header+body)
			if got := replies[6]; !strings.HasPrefix(got, want) {
				t.Errorf("%d octets: %s, want %s", size, got, want)
			}
		}
	})
}

func TestOurOwnSubmittersAreToldToo(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{})
		v.mailboxes("bob@shop.example")
		v.aliases("a@shop.example: b@shop.example", "b@shop.example: a@shop.example", "info@shop.example: bob@shop.example, x@out.example")
		for to, want := range map[string]string{"a@shop.example": expansionError, "nobody@shop.example": "550 5.1.1", "x%y@shop.example": "554 5.7.1"} {
			_, err := v.srv.Submit(t.Context(), hello("bob@shop.example", to))
			var reply transport.Reply
			if !errors.As(err, &reply) || !strings.HasPrefix(reply.Error(), want) {
				t.Errorf("%s: %v, want %s", to, err, want)
			}
		}
		submit(t, v.srv, hello("bob@shop.example", "info@shop.example"))
		lab.Drain(time.Hour)
		if got := v.out.Messages(); len(got) != 1 || got[0].ReversePath != "bob@shop.example" {
			t.Errorf("forwarded: %+v", got)
		}
	})
}
