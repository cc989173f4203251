package mailcore_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// A malformedSession is what a client does that has gone wrong, or means ill.
type malformedSession struct {
	tls    bool     // the octets go over TLS, after a handshake in order
	pieces []string // octets, each in a write of its own
	end    string   // close, half-close or reset
}

// dialogues are sessions in order, as lines, from which malformed ones are made.
// What stands in a BDAT chunk is a line too.
var dialogues = [][]string{
	{"EHLO c.test", "MAIL FROM:<a@remote.test>", "RCPT TO:<u@shop.example>", "DATA", "Subject: x", "", "..dots", "body", ".", "QUIT"},
	{"EHLO c.test", "MAIL FROM:<a@remote.test>", "RCPT TO:<u@shop.example>", "BDAT 10", "Subject:", "BDAT 6 LAST", "\r\nxx", "QUIT"},
	{"EHLO c.test", "MAIL FROM:<>", "RCPT TO:<u@shop.example>", "BDAT 0", "NOOP", "BDAT 0 LAST", "RSET", "QUIT"},
	{"EHLO c.test", "AUTH PLAIN " + saslPlain("wordpress", "secret"), "MAIL FROM:<a@shop.example>", "RCPT TO:<u@shop.example>", "DATA", "x", ".", "QUIT"},
	{"EHLO c.test", "AUTH LOGIN", b64("wordpress"), b64("secret"), "MAIL FROM:<a@shop.example>", "RCPT TO:<u@shop.example>", "BDAT 3 LAST", "x", "QUIT"},
	{"EHLO c.test", "AUTH PLAIN", saslPlain("wordpress@shop.example", "wrong"), "AUTH LOGIN", b64("u@shop.example"), "*", "AUTH LOGIN " + b64("w"), b64("x"), "QUIT"},
	{"EHLO c.test", "STARTTLS", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", "EHLO c.test", "QUIT"},
	{"HELO c.test", "MAIL FROM:<a@remote.test>", "RCPT TO:<u@shop.example>", "RCPT TO:<postmaster>", "DATA", "x", ".", "QUIT"},
	{"EHLO c.test", "MAIL FROM:<a@remote.test> SIZE=100 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb AUTH=<>",
		"RCPT TO:<u@shop.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;u+2Bx@shop.example", "DATA", "x", ".", "QUIT"},
	{"EHLO [192.0.2.1]", "VRFY u", "HELP", "NOOP x", "EXPN x", "ETRN x", "MAIL FROM:<\"a b\"@remote.test>", "RSET", "RCPT TO:<u@shop.example>", "QUIT"},
}

// fragments are put anywhere.
var fragments = []string{
	"\r", "\n", "\r\n", "\x00", "\r\n.\r\n", "\n.\n", ".\r\n", "\r\n.\n", " ", "\t", "<", ">", "@", ":", "\"", "\\", "%", "!", "[", "]", "=", "+", "+2", "+0A",
	"\xff", "\xc3\xa4", "\xc0\x80", "\xe2\x80\xa8", "\x1b[31m", "\x7f", "\x16\x03\x01\x02\x00", "*", "LAST", "BDAT", "BDAT 18446744073709551616", "BDAT -1 LAST",
	"BDAT 4294967297\r\n", "DATA\r\n", "STARTTLS\r\n", "AUTH\r\n", "AUTH PLAIN =\r\n", "AUTH LOGIN =\r\n", "AUTH CRAM-MD5\r\n", "AUTH PLAIN !!!\r\n",
	"RSET\r\n", "EHLO\r\n", "HELO " + strings.Repeat("h.", 200) + "\r\n", "MAIL FROM:<@a,@b:c@d.test>\r\n", "RCPT TO:<u@shop.example@remote.test>\r\n",
	"RCPT TO:<" + strings.Repeat("u", 300) + "@shop.example>\r\n", "RCPT TO:<u%remote.test@shop.example>\r\n", " SIZE=99999999999999999999", " NOTIFY=NEVER,DELAY",
	" ORCPT=" + strings.Repeat("x", 600), "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "Subject: x\r\n\r\n", "QUIT\r\n",
	strings.Repeat("A", 2100), strings.Repeat("A", 13000), strings.Repeat("A", 70000), strings.Repeat("RCPT TO:<u@shop.example>\r\n", 30),
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func saslPlain(login, password string) string { return b64("\x00" + login + "\x00" + password) }

// malformed makes the i-th session of a seed.
func malformed(seed, i uint64) malformedSession {
	r := rand.New(rand.NewPCG(seed, i))
	lines := slices.Clone(dialogues[r.IntN(len(dialogues))])
	for range 1 + r.IntN(3) {
		lines = mutateLines(r, lines)
	}
	ending := "\r\n"
	if r.IntN(20) == 0 {
		ending = []string{"\n", "\r", "\r\r\n", "\r\n\x00"}[r.IntN(4)]
	}
	octets := []byte(strings.Join(lines, ending) + ending)
	for range r.IntN(2) {
		octets = mutateOctets(r, octets)
	}
	s := malformedSession{tls: r.IntN(8) == 0, end: "half-close"}
	switch r.IntN(10) {
	case 0:
		s.end = "reset"
	case 1:
		s.end = "close"
	}
	for pieces := 1 + r.IntN(3); pieces > 1 && len(octets) > 0; pieces-- {
		n := r.IntN(len(octets))
		s.pieces = append(s.pieces, string(octets[:n]))
		octets = octets[n:]
	}
	s.pieces = append(s.pieces, string(octets))
	return s
}

// mutateLines changes a dialogue as one of lines.
func mutateLines(r *rand.Rand, lines []string) []string {
	if len(lines) == 0 {
		return slices.Clone(dialogues[r.IntN(len(dialogues))])
	}
	i, j := r.IntN(len(lines)), r.IntN(len(lines))
	switch r.IntN(9) {
	case 0: // leave one out
		return append(lines[:i:i], lines[i+1:]...)
	case 1: // say one twice
		return append(lines[:i:i], append([]string{lines[i]}, lines[i:]...)...)
	case 2:
		lines[i], lines[j] = lines[j], lines[i]
	case 3: // break off
		return lines[:i]
	case 4: // go on with another dialogue
		return append(lines[:i:i], dialogues[r.IntN(len(dialogues))]...)
	case 5: // another number
		lines[i] = strings.Map(func(c rune) rune {
			if '0' <= c && c <= '9' {
				return '0' + rune(r.IntN(10))
			}
			return c
		}, lines[i])
	case 6:
		lines[i] = strings.ToLower(lines[i]) + fmt.Sprintf(" %d", r.Int64())
	case 7: // another login
		logins := []string{"", "w", "wordpress", "no at sign", "@", "a@b@c", strings.Repeat("l", 300), "\xff\xfe", "wordpress\x00x"}
		lines[i] = "AUTH PLAIN " + saslPlain(logins[r.IntN(len(logins))], logins[r.IntN(len(logins))])
	default:
		at := r.IntN(len(lines[i]) + 1)
		lines[i] = lines[i][:at] + fragments[r.IntN(len(fragments))] + lines[i][at:]
	}
	return lines
}

// mutateOctets changes a dialogue as octets.
func mutateOctets(r *rand.Rand, b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	i := r.IntN(len(b))
	switch r.IntN(4) {
	case 0:
		b[i] = byte(r.IntN(256))
	case 1:
		b[i] ^= 1 << r.IntN(8)
	case 2:
		return append(b[:i:i], b[min(len(b), i+1+r.IntN(8)):]...)
	default:
		return append(b[:i:i], append([]byte(fragments[r.IntN(len(fragments))]), b[i:]...)...)
	}
	return b
}
