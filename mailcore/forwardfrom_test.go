package mailcore_test

import (
	"net/mail"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
)

// A host that rewrites senders when it receives mail makes a missing From of what it
// has rewritten. These are the ways in on which that was seen with Postfix, each to an
// alias that leads elsewhere and to a host elsewhere.
func TestAMissingFromIsNeverMadeOfARewrittenReversePath(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		near := netip.MustParsePrefix("192.0.2.0/24")
		r := newRelayed(t, lab, mailcore.Config{RelayNetworks: []netip.Prefix{near}, Forwarding: mailcore.Forwarding{Secrets: ringOf("secret")}})
		const own = "From: Alice <alice@elsewhere.example>"
		over := func(client string) func(from, to, field string) {
			return func(from, to, field string) {
				conn := lab.DialFrom(netip.MustParseAddr(client), 25)
				defer conn.Close()
				replies := converse(t, conn, "EHLO client.example", "MAIL FROM:<"+from+">", "RCPT TO:<"+to+">", "DATA", field+"Subject: x\r\n\r\nx\r\n.")
				if !strings.HasPrefix(replies[5], "250 ") {
					t.Fatalf("from %s to %s: %q", from, to, replies)
				}
			}
		}
		sendmail := func(from, to, field string) {
			if err := r.srv.SendLocally(t.Context(), from, to, field+"Subject: x\n\nx\n"); err != nil {
				t.Fatal(err)
			}
		}
		api := func(from, to, field string) {
			m := hello(from, to)
			m.Content = strings.NewReader(field + "Subject: x\n\nx\n")
			submit(t, r.srv, m)
		}
		stranger, neighbour := over("203.0.113.250"), over("192.0.2.1")
		ours := rewrittenAt(t, "shop.example", authorAddr)
		for _, tt := range []struct {
			what       string
			send       func(from, to, field string)
			from       string
			field      string
			want       string // of the From field; "": there is none
			fwd, plain string // what the reverse-path ends with; "-": it cannot be sent
		}{
			{"a From that is there", stranger, authorAddr, own + "\r\n", own, "=author.example=alice@shop.example", "-"},
			{"sendmail -f with a domain that is not here", sendmail, authorAddr, "", "From: alice@author.example", "=author.example=alice@shop.example", authorAddr},
			{"a client that may relay", neighbour, authorAddr, "", "From: alice@author.example", "=author.example=alice@shop.example", authorAddr},
			{"the panel", api, authorAddr, "", "From: alice@author.example", "=author.example=alice@shop.example", authorAddr},
			{"a stranger", stranger, authorAddr, "", "", "=author.example=alice@shop.example", "-"},
			{"a stranger who says what a rewriter made", stranger, "SRS0=AAAA=BB=far.example=z@author.example", "", "", "=author.example==AAAA=BB=far.example=z@shop.example", "-"},
			{"a domain that is here", neighbour, "bob@shop.example", "", "From: bob@shop.example", "bob@shop.example", "bob@shop.example"},
			{"sendmail -f with an address that a rewriter made here", sendmail, ours, "", "From: Mail Delivery System <MAILER-DAEMON@mail.panel.example>", ours, ours},
			{"a client that may relay, with one made elsewhere", neighbour, "SRS0=AAAA=BB=far.example=z@author.example", "",
				"From: Mail Delivery System <MAILER-DAEMON@mail.panel.example>", "=author.example==AAAA=BB=far.example=z@shop.example", "SRS0=AAAA=BB=far.example=z@author.example"},
		} {
			for to, ending := range map[string]string{"fwd@shop.example": tt.fwd, "x@out.example": tt.plain} {
				if ending == "-" {
					continue
				}
				before := len(r.out.Messages())
				tt.send(tt.from, to, tt.field)
				lab.Drain(time.Minute)
				got := r.out.Messages()[before:]
				if len(got) != 1 || !strings.HasSuffix(got[0].ReversePath, ending) {
					t.Errorf("%s: to %s: %+v, want a reverse-path that ends with %s", tt.what, to, got, ending)
					continue
				}
				if from := fieldOf(t, got[0].Content, "From"); from != strings.TrimPrefix(tt.want, "From: ") {
					t.Errorf("%s: to %s: From: %s, want %s", tt.what, to, from, tt.want)
				}
				if id := fieldOf(t, got[0].Content, "Message-ID"); strings.Contains(id, "SRS") {
					t.Errorf("%s: to %s: Message-ID: %s", tt.what, to, id)
				}
			}
		}
	})
}

// fieldOf is a field of a message; "" if it is not there.
func fieldOf(t *testing.T, content, name string) string {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return m.Header.Get(name)
}

func TestNothingInTheHeaderIsRewrittenOnTheWayOutNorBack(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		r := newRelayed(t, lab, mailcore.Config{Forwarding: mailcore.Forwarding{Secrets: ringOf("secret")}})
		ours := rewrittenAt(t, "shop.example", authorAddr)
		fields := []string{"From: " + authorAddr, "Sender: " + authorAddr, "Reply-To: " + authorAddr, "To: " + ours, "Cc: " + ours, "Return-Receipt-To: " + authorAddr}
		m := r.forwarded(authorAddr, "fwd@shop.example", fields...)
		if reply := r.receive("", m.ReversePath, fields...); !strings.HasPrefix(reply, "250 ") {
			t.Fatal(reply)
		}
		lab.Drain(time.Minute)
		for _, got := range []mailtest.Message{m, r.author.Messages()[0]} {
			header, _, _ := strings.Cut(got.Content, "\r\n\r\n")
			if want := strings.Join(fields, "\r\n") + "\r\nSubject: Hello"; !strings.HasSuffix(header, want) {
				t.Errorf("the header is\n%s\nwant at its end\n%s", header, want)
			}
		}
	})
}
