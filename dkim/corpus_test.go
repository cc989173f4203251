package dkim_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
)

// How many messages the corpus has. The repeating ones come last: they have fields more
// than once that a message should have once (RFC 5322 section 3.6).
const (
	regular   = 840
	repeating = 120
)

// corpus is a collection of different messages in CRLF lines, the same at each call. Some
// of their bodies do not end in a line end.
func corpus() []string {
	var all []string
	for i := range regular + repeating {
		w := writer{rand.New(rand.NewPCG(1, uint64(i)))}
		all = append(all, w.header(i)+"\r\n"+w.body(i))
	}
	return all
}

// A writer makes up messages.
type writer struct{ *rand.Rand }

// any is one of the texts.
func (w writer) any(texts ...string) string { return texts[w.IntN(len(texts))] }

// some is so many words out of letters of some kinds.
func (w writer) some(n int, between ...string) string {
	var b strings.Builder
	for range n {
		b.WriteString(w.any("lorem", "ipsum", "dolor", "a", "Grüße", "日本", "\xe9\xff", "=?utf-8?Q?=C3=BC?=", "x=y;", "\"q\"", "(c)", "\\", "-", "1", "=20", "=", ".", "%", "a:b"))
		b.WriteString(w.any(between...))
	}
	return b.String()
}

// name is a field name in one of the cases that are met.
func (w writer) name(s string) string {
	return w.any(s, s, s, strings.ToLower(s), strings.ToUpper(s))
}

// field makes a field with one of the spellings of its value.
func (w writer) field(name string) string {
	blank := w.any(" ", " ", "", "  ", "\t", "\r\n ", " \r\n\t")
	value := ""
	switch w.IntN(6) {
	case 0: // empty
	case 1:
		value = w.some(1+w.IntN(5), " ", "  ", "\t", "")
	case 2:
		value = w.some(5+w.IntN(40), "\r\n ", "\r\n\t", " ", " \r\n  \t")
	case 3:
		value = w.some(1, "") + strings.Repeat("x", w.IntN(900))
	case 4:
		value = w.some(3, " ") + w.any(" ", "\t", " \t ", "\r\n ", "")
	default:
		value = w.some(3, " ")
	}
	return w.name(name) + ":" + blank + value + "\r\n"
}

// from is a From field.
func (w writer) from() string {
	value := w.any(
		" ann@example.com", " Ann <ann@example.com>", "Ann Example\r\n <ann@example.com>", "\t\"Ann, of \\\"Example\\\"\" <ann@example.com> ",
		" =?utf-8?B?QW5u?=\r\n\t=?utf-8?B?IEV4YW1wbGU=?= <ann@example.com>", " Änn <ann@example.com>", " ann@example.com (Ann\r\n (of Example))",
		" Ann   \t  Example    <ann@example.com>", " group: ann@example.com, bob@example.com;", "\r\n ann@example.com", " \xc4nn <ann@example.com>",
	)
	return w.name("From") + ":" + value + "\r\n"
}

// header is a header block without the blank line. The number makes it one of a kind.
func (w writer) header(i int) string {
	fields := []string{w.from(), w.field("Date"), fmt.Sprintf("Message-ID: <%d@example.com>\r\n", i)}
	for n, name := range []string{
		"Date", "Subject", "To", "Cc", "Reply-To", "Sender", "In-Reply-To", "References",
		"MIME-Version", "Content-Type", "Content-Transfer-Encoding",
		"List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Resent-From", "Resent-To",
		"X-Mailer", "Received", "Return-Path", "Keywords", "Comments", "Organization", "odd/name!{}", "X",
	} {
		times := []int{0, 0, 1, 1, 1, 2, 3}[w.IntN(7)]
		if i < regular && n < 8 {
			times = min(times, 1)
		}
		if i < regular && name == "Date" {
			times = 0
		}
		for range times {
			fields = append(fields, w.field(name))
		}
	}
	w.Shuffle(len(fields), func(a, b int) { fields[a], fields[b] = fields[b], fields[a] })
	return strings.Join(fields, "")
}

// body is the rest of a message, in one of the shapes that are met.
func (w writer) body(i int) string {
	switch i % 12 {
	case 0:
		return ""
	case 1:
		return strings.Repeat("\r\n", 1+w.IntN(5))
	case 2:
		return w.some(w.IntN(50), " ", "\r\n") // mostly without a last line end
	case 3:
		return w.some(20, " ", "\r\n", "\r\n\r\n") + strings.Repeat(w.any("\r\n", " \r\n", "\t \r\n"), w.IntN(20))
	case 4:
		return strings.Repeat("x", 1000+w.IntN(9000)) + "\r\n"
	case 5:
		return w.some(2000, " ") + "\r\nlast\r\n"
	case 6:
		return w.some(50, "  ", "\t", " \t\r\n", "\r\n\t", "\r\n \r\n", "\r\n")
	case 7:
		return w.mime()
	case 8:
		return ".\r\n..\r\n. .\r\n" + w.some(10, "\r\n.", "\r\n..") + "\r\n.\r\n"
	case 9:
		return w.any(" ", "\t", " \r\n", " \t \r\n\t\r\n", "  x", "x  ", "\x0b\x0c\x1b[1m\x7f\x01\r\n", "\r\n\r\nx")
	case 10:
		return "From ann\r\n>From bob\r\nFrom: eve@example.net\r\n\r\n" + w.some(30, " ", "\r\n")
	}
	return strings.Repeat(w.some(12, " ")+"\r\n", 10+w.IntN(300))
}

// mime is a body of several parts.
func (w writer) mime() string {
	octets := make([]byte, w.IntN(3000))
	for i := range octets {
		octets[i] = byte(w.Uint32())
	}
	encoded := base64.StdEncoding.EncodeToString(octets)
	var b strings.Builder
	b.WriteString("This is a message in parts.\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + w.some(20, " ", "\r\n"))
	b.WriteString("\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	for len(encoded) > 76 {
		b.WriteString(encoded[:76] + "\r\n")
		encoded = encoded[76:]
	}
	b.WriteString(encoded + "\r\n--b--" + w.any("", "\r\n", "\r\n\r\n", " \r\n"))
	return b.String()
}
