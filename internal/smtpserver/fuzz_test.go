package smtpserver

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
)

// grammar is what the octets below 0x80 stand for in the fuzzer's input, so that
// mutations make dialogues and not noise. Octets from there on stand for
// themselves without the high bit.
var grammar = []string{
	"EHLO client.test\r\n", "HELO x\r\n", "MAIL FROM:<a@remote.test>\r\n", "MAIL FROM:<lenient@local.test>",
	"MAIL FROM:<early@local.test>\r\n", "MAIL FROM:<crash@local.test>\r\n", "MAIL FROM:<full@local.test>\r\n",
	"RCPT TO:<u@local.test>\r\n", "RCPT TO:<u@remote.test>\r\n", "RCPT TO:<\"a> b\"@local.test>", "DATA\r\n", "\r\n.\r\n", ".\r\n",
	"BDAT 5\r\n", "BDAT 5 LAST\r\n", "BDAT 0 LAST\r\n", "BDAT 6\r\nQUIT\r\n", "BDAT 7 LAST\r\nDATA\r\n.", "BDAT -1\r\n", "BDAT ",
	"12345", "\r\n", "\r", "\n", ".", "\x00", " ", "RSET\r\n", "NOOP\r\n", "QUIT\r\n", "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n",
	"AUTH LOGIN\r\n", "*\r\n", "=\r\n", "STARTTLS\r\n", " SIZE=10", " BODY=8BITMIME", " NOTIFY=NEVER", " ORCPT=rfc822;a+2Bb",
	" SMTPUTF8", "VRFY x\r\n", "LAST", "<", ">", ":", "@", "\xc3\xa4", "\xff", "Subject: x\r\n\r\n", "..x\r\n", "GET / HTTP/1.1\r\n",
}

func decode(input []byte) string {
	var b strings.Builder
	for _, c := range input {
		if c < 0x80 {
			b.WriteString(grammar[int(c)%len(grammar)])
		} else {
			b.WriteByte(c &^ 0x80)
		}
	}
	return b.String()
}

// encode is the inverse of decode for seeds.
func encode(tokens ...string) []byte {
	var b []byte
	for _, token := range tokens {
		for i, word := range grammar {
			if word == token {
				b = append(b, byte(i))
			}
		}
	}
	return b
}

// FuzzSession sends any octets. The server must survive, end everything it
// began, say yes no oftener than a message ended, and never hand over what it
// would not have read.
func FuzzSession(f *testing.F) {
	hello, from, to := "EHLO client.test\r\n", "MAIL FROM:<a@remote.test>\r\n", "RCPT TO:<u@local.test>\r\n"
	f.Add(encode(hello, from, to, "DATA\r\n", "Subject: x\r\n\r\n", "..x\r\n", ".\r\n", "QUIT\r\n"))
	f.Add(encode(hello, from, to, "BDAT 5\r\n", "12345", "NOOP\r\n", "BDAT 5 LAST\r\n", "12345", from, to, "DATA\r\n", ".\r\n"))
	f.Add(encode(hello, from, "RCPT TO:<u@remote.test>\r\n", "BDAT 6\r\nQUIT\r\n", "BDAT 7 LAST\r\nDATA\r\n.", "RSET\r\n"))
	f.Add(encode(hello, "AUTH LOGIN\r\n", "12345", "\r\n", "*\r\n", "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", from))
	f.Add(encode(hello, "MAIL FROM:<crash@local.test>\r\n", to, "DATA\r\n", "\r", "\n", ".\r\n"))
	f.Add(encode(hello, "MAIL FROM:<lenient@local.test>", " SIZE=10", "\r\n", to, "DATA\r\n", "\n", ".", "\n", "\r", "\r\n.\r\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		stream := decode(input)
		synctest.Test(t, func(t *testing.T) {
			d := &desk{}
			var log bytes.Buffer
			s := &Server{
				Hostname: "mx.local.test", Handler: d, AuthWithoutTLS: true, MaxSize: 1000,
				Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError})),
			}
			c, served, _ := connect(t, s)
			go func() {
				io.WriteString(c, stream)
				c.CloseWrite()
			}()
			replies, _ := io.ReadAll(c) // a reset is fine
			<-served
			ends := strings.Count(stream, ".\r\n") + strings.Count(strings.ToUpper(stream), "LAST")
			if n := strings.Count(string(replies), "queued as"); n > ends || n > len(d.messages) {
				t.Errorf("%d messages confirmed, %d accepted, %d ends of content", n, len(d.messages), ends)
			}
			if d.open != 0 || d.sessions != 0 {
				t.Errorf("%d transactions and %d sessions were not ended", d.open, d.sessions)
			}
			for _, line := range strings.SplitAfter(string(replies), "\r\n") {
				if line != "" && (len(line) < 6 || len(line) > 512 || strings.ContainsAny(line[:len(line)-2], "\r\n\x00")) {
					t.Errorf("malformed reply %q", line)
				}
			}
			for _, m := range d.messages {
				if !strings.HasPrefix(m.from, "lenient@") && !clean(m.content) {
					t.Errorf("accepted bare octets: %q", m.content)
				}
			}
			if strings.Contains(log.String(), "panic") && !strings.Contains(stream, "crash") {
				t.Errorf("%s", log.String())
			}
		})
	})
}

// clean reports whether CR and LF come in pairs only and there is no NUL.
func clean(content string) bool {
	return !strings.ContainsAny(strings.ReplaceAll(content, "\r\n", ""), "\r\n\x00")
}
