package rfc5322_test

import (
	"bufio"
	"bytes"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/panelmail/panelmail/internal/address"
	. "github.com/panelmail/panelmail/internal/rfc5322"
)

var moment = time.Date(2026, 3, 7, 9, 5, 1, 0, time.FixedZone("", -(3*60+30)*60))

func TestReceivedTellsTheHop(t *testing.T) {
	for _, tt := range []struct {
		name string
		hop  Hop
		want string
	}{
		{
			"submission over TLS",
			Hop{
				HELO: "laptop.test", ClientName: "dsl.isp.test", Client: "192.0.2.7", Login: "shop@customer.test",
				TLS: "TLSv1.3 with cipher TLS_AES_128_GCM_SHA256", By: "mx.panel.test", With: "ESMTPSA",
				ID: "3kTq9", For: "you@example.test", Time: moment,
			},
			"Received: from laptop.test (dsl.isp.test [192.0.2.7])\r\n" +
				"\t(using TLSv1.3 with cipher TLS_AES_128_GCM_SHA256)\r\n" +
				"\t(Authenticated sender: shop@customer.test) by mx.panel.test\r\n" +
				"\twith ESMTPSA id 3kTq9 for <you@example.test>;\r\n" +
				"\tSat, 7 Mar 2026 09:05:01 -0330\r\n",
		},
		{
			"IPv6 without a name",
			Hop{HELO: "[IPv6:2001:db8::1]", Client: "2001:db8::1", By: "h", With: "ESMTP", ID: "1", Time: moment},
			"Received: from [IPv6:2001:db8::1] (unknown [IPv6:2001:db8::1]) by h with ESMTP\r\n" +
				"\tid 1; Sat, 7 Mar 2026 09:05:01 -0330\r\n",
		},
		{
			"IPv4 in IPv6",
			Hop{HELO: "a", Client: "::ffff:192.0.2.1", By: "h", ID: "1", Time: moment},
			"Received: from a (unknown [192.0.2.1]) by h id 1;\r\n\tSat, 7 Mar 2026 09:05:01 -0330\r\n",
		},
		{
			"sendmail command",
			Hop{By: "mx.panel.test", UID: 1000, HasUID: true, ID: "3kTq9", Time: moment},
			"Received: by mx.panel.test (from userid 1000) id 3kTq9;\r\n\tSat, 7 Mar 2026 09:05:01 -0330\r\n",
		},
		{
			"sendmail command of root",
			Hop{By: "h", HasUID: true, ID: "1", Time: moment},
			"Received: by h (from userid 0) id 1; Sat, 7 Mar 2026 09:05:01 -0330\r\n",
		},
		{
			"call of a program",
			Hop{By: "h", ID: "1", Time: moment},
			"Received: by h id 1; Sat, 7 Mar 2026 09:05:01 -0330\r\n",
		},
		{
			"login whose client is hidden",
			Hop{By: "h", ID: "1", Login: "shop", Time: moment},
			"Received: (Authenticated sender: shop) by h id 1;\r\n\tSat, 7 Mar 2026 09:05:01 -0330\r\n",
		},
		{
			"recipients that stay out",
			Hop{By: "h", For: "ü@example.test", Time: moment},
			"Received: by h; Sat, 7 Mar 2026 09:05:01 -0330\r\n",
		},
		{
			"quoted recipient",
			Hop{By: "h", For: `"x> Y"@local.test`, Time: moment},
			"Received: by h for <\"x> Y\"@local.test>; Sat, 7 Mar 2026 09:05:01 -0330\r\n",
		},
		{
			"hostile words",
			Hop{
				HELO: "a\r\nEvil: 1", ClientName: "b) by c (", Client: "not an address\n", Login: "d)\r\n\x00ü\\",
				By: "h;", With: "E\x1b[31m", ID: "<1>", For: "u@a@b", Time: moment,
			},
			"Received: from a??Evil:?1 (b??by?c?? [not?an?address?])\r\n" +
				"\t(Authenticated sender: d\\)?????\\\\) by h? with E??31m id ?1?;\r\n" +
				"\tSat, 7 Mar 2026 09:05:01 -0330\r\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, string(Received(tt.hop))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDateIsReadByOthersAsTheSameInstant(t *testing.T) {
	for _, at := range []time.Time{moment, moment.UTC(), time.Unix(0, 0).UTC(), moment.In(time.FixedZone("", 14*3600))} {
		got, err := mail.ParseDate(Date(at))
		if err != nil || !got.Equal(at.Truncate(time.Second)) {
			t.Errorf("%s reads as %v, %v", Date(at), got, err)
		}
	}
	if got, want := Date(time.Unix(0, 0).UTC()), "Thu, 1 Jan 1970 00:00:00 +0000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestMessageIDIsAlwaysOne(t *testing.T) {
	for _, tt := range []struct{ id, host, want string }{
		{"3kTq9", "mx.panel.test", "<3kTq9@mx.panel.test>"},
		{"a b", "x>\r\nEvil: 1", "<a?b@x???Evil??1>"},
		{".a..b...c.", "", "<a.b.c@?>"},
		{"...", "x", "<?@x>"},
		{"ü", "x@y", "<??@x?y>"},
	} {
		if got := MessageID(tt.id, tt.host); got != tt.want {
			t.Errorf("MessageID(%q, %q) = %s, want %s", tt.id, tt.host, got, tt.want)
		}
	}
}

func TestMissingAddsWhatIsNotThere(t *testing.T) {
	const (
		date = "Date: Sat, 7 Mar 2026 09:05:01 -0330\r\n"
		id   = "Message-ID: <3kTq9@mx.panel.test>\r\n"
	)
	alice := address.Address{Local: "alice", Domain: "customer.test"}
	for _, tt := range []struct {
		name, have string
		from       address.Address
		want       string
	}{
		{"all", "To: x\r\n", alice, date + "From: alice@customer.test\r\n" + id},
		{"nothing", "DATE: x\r\nfrom : y\r\nMessage-Id: z\r\n", alice, ""},
		{"empty fields count", "Date:\r\nFrom:\r\nMessage-ID:\r\n", alice, ""},
		{"other names do not count", "Resent-Date: x\r\nX-From: y\r\nFrom: z\r\nMessage-ID: 1\r\n", alice, date},
		{"null sender", "Date: x\r\nMessage-ID: 1\r\n", address.Address{}, "From: Mail Delivery System <MAILER-DAEMON@mx.panel.test>\r\n"},
		{"bare postmaster", "Date: x\r\nMessage-ID: 1\r\n", address.Address{Local: "postmaster"}, "From: postmaster@mx.panel.test\r\n"},
	} {
		h, _ := read(t, tt.have+"\r\n")
		got := Missing(h, tt.from, moment, "3kTq9", "mx.panel.test")
		if diff := cmp.Diff(tt.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if err := h.Prepend(got); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if Missing(h, tt.from, moment, "3kTq9", "mx.panel.test") != nil {
			t.Errorf("%s: still something missing", tt.name)
		}
	}
}

func TestMailboxIsReadByOthersAsTheSame(t *testing.T) {
	for _, tt := range []struct {
		name string
		addr address.Address
		want mail.Address
	}{
		{"", address.Address{Local: "u", Domain: "x"}, mail.Address{Address: "u@x"}},
		{"Jane O'Hara", address.Address{Local: "u", Domain: "x"}, mail.Address{Name: "Jane O'Hara", Address: "u@x"}},
		{`J. "D" \ <doe>`, address.Address{Local: "u", Domain: "x"}, mail.Address{Name: `J. "D" \ <doe>`, Address: "u@x"}},
		{"Jörg", address.Address{Local: "u", Domain: "bücher.test"}, mail.Address{Name: "Jörg", Address: "u@xn--bcher-kva.test"}},
		{"a\r\nBcc: b", address.Address{Local: "u", Domain: "x"}, mail.Address{Name: "aBcc: b", Address: "u@x"}},
		{"Jörg, a\x00:\nb", address.Address{Local: "u", Domain: "x"}, mail.Address{Name: "Jörg, a:b", Address: "u@x"}},
		{strings.Repeat("ü ", 100), address.Address{Local: "u", Domain: "x"}, mail.Address{Name: strings.Repeat("ü ", 84) + "ü", Address: "u@x"}},
		{"", address.Address{Local: "x> Y", Domain: "local"}, mail.Address{Address: `x> Y@local`}},
	} {
		field := Mailbox("From", tt.name, tt.addr)
		m, err := mail.ReadMessage(bytes.NewReader(append(field, "\r\n"...)))
		if err != nil {
			t.Errorf("%q: %v", field, err)
			continue
		}
		got, err := m.Header.AddressList("From")
		if err != nil || len(m.Header) != 1 {
			t.Errorf("%q: %v; header %v", field, err, m.Header)
			continue
		}
		if diff := cmp.Diff([]*mail.Address{&tt.want}, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", field, diff)
		}
	}
}

func TestMailboxLeavesOutWhatIsNoAddress(t *testing.T) {
	for _, a := range []address.Address{{}, {Local: "a\r\nEvil: 1", Domain: "x"}, {Local: "u", Domain: "x>\r\ny"}, {Local: "u"}} {
		if got, want := string(Mailbox("From", "", a)), "From: undisclosed:;\r\n"; got != want {
			t.Errorf("%#v: %q, want %q", a, got, want)
		}
	}
}

func TestFoldBreaksAtBlanksAndBeforeLinesGetTooLong(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"Subject", "short", "Subject: short\r\n"},
		{"Subject", "", "Subject:\r\n"},
		{"Subject", "  a \r\n\t b\n\nc ", "Subject: a b c\r\n"},
		{"Subject", strings.Repeat("word ", 20), "Subject:" + strings.Repeat(" word", 14) + "\r\n\tword" + strings.Repeat(" word", 5) + "\r\n"},
		{"X", strings.Repeat("x", 1500), "X: " + strings.Repeat("x", 700) + "\r\n\t" + strings.Repeat("x", 700) + "\r\n\t" + strings.Repeat("x", 100) + "\r\n"},
		{"X", "x" + strings.Repeat("ü", 350), "X: x" + strings.Repeat("ü", 349) + "\r\n\tü\r\n"},
		{"X", "a\x00b\x7fc\x1b", "X: a?b?c?\r\n"},
		{"X\r\nY", "a", "X??Y: a\r\n"},
		{"", "a", "?: a\r\n"},
	} {
		if diff := cmp.Diff(tt.want, string(Fold(tt.name, tt.text))); diff != "" {
			t.Errorf("Fold(%q, %.20q) (-want +got):\n%s", tt.name, tt.text, diff)
		}
	}
}

// TestNoWordOpensAnotherField feeds hostile words into every parameter of every
// function that makes fields.
func TestNoWordOpensAnotherField(t *testing.T) {
	hostile := rapid.OneOf(
		rapid.StringMatching(`[a-z\r\n\x00 :;<>()\\"@.ü\x{2028}]{0,30}`),
		rapid.Just("a\r\nEvil: 1\r\n\r\nbody"),
		rapid.Map(rapid.IntRange(0, 3000), func(n int) string { return strings.Repeat("x", n) }),
		rapid.Map(rapid.IntRange(0, 3000), func(n int) string { return strings.Repeat("(\xff", n) }),
		rapid.String(),
	)
	rapid.Check(t, func(t *rapid.T) {
		word := func(name string) string { return hostile.Draw(t, name) }
		addr := address.Address{Local: word("local"), Domain: word("domain")}
		for _, field := range [][]byte{
			Received(Hop{
				HELO: word("helo"), ClientName: word("name"), Client: word("client"), Login: word("login"), TLS: word("tls"),
				By: word("by"), With: word("with"), ID: word("id"), For: word("for"), Time: moment,
			}),
			Mailbox(word("field"), word("display"), addr),
			Fold(word("field"), word("text")),
			[]byte("Message-ID: " + MessageID(word("id"), word("host")) + "\r\n"),
		} {
			checkOneField(t, field)
		}
		missing := Missing(new(Header), addr, moment, word("id"), word("host"))
		h, err := ReadHeader(bufio.NewReader(bytes.NewReader(append(missing, "\r\n"...))), Limits{})
		if err != nil || h.Len() != 3 || h.Malformed() != nil {
			t.Fatalf("%q reads as %d fields, %v, %v", missing, h.Len(), h.Malformed(), err)
		}
	})
}

func checkOneField(t *rapid.T, field []byte) {
	var h Header
	if err := h.Prepend(field); err != nil || h.Len() != 1 {
		t.Fatalf("%q: %v, %d fields", field, err, h.Len())
	}
	for line := range bytes.Lines(field) {
		if len(line) > 1000 || len(bytes.Trim(line, " \t\r\n")) == 0 {
			t.Fatalf("%q has a line of %d octets: %q", field, len(line), line)
		}
	}
}
