package smtpserver

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

func TestAGateClosesBeforeTheContent(t *testing.T) {
	const refusal = "503 5.5.0 Improper use of SMTP command pipelining"
	for _, tt := range []struct {
		name  string
		steps []string // each sent when the one before was answered
		want  []string
	}{
		{"DATA with the content behind it", []string{"DATA\r\nNOOP"}, []string{refusal, "250 2.0.0 Ok"}},
		{"again, with patience", []string{"DATA\r\nNOOP", "DATA", "x\r\n."}, []string{refusal, "250 2.0.0 Ok", "354 End data with <CR><LF>.<CR><LF>", "250 2.0.0 Ok: queued as ID1"}},
		{"a chunk is read all the same", []string{"BDAT 6\r\nNOOP\r\nNOOP"}, []string{refusal, "250 2.0.0 Ok"}},
		{"DATA with an argument", []string{"DATA x\r\nNOOP"}, []string{"501 5.5.4 Syntax: DATA", "250 2.0.0 Ok"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, d, _ := newServer()
			c, _, _ := connect(t, s)
			p := newPeer(t, c)
			p.say("EHLO client.test", "MAIL FROM:<patient@remote.test>", "RCPT TO:<u@local.test>")
			var got []string
			for _, step := range tt.steps {
				got = append(got, p.say(step)...)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s: %s", tt.name, diff)
			}
			if d.open != 1-len(d.accepted()) {
				t.Errorf("%s: %d transactions open, %d messages", tt.name, d.open, len(d.accepted()))
			}
		})
	}
}
