package sendmail_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/internal/maildrop"
	"github.com/panelmail/panelmail/mailcore/sendmail"
)

// talk runs the command with -bs and says each line after the reply to the one
// before, as a program does that waits for replies. It returns the replies to
// the commands: the first lines, codes only.
func (l *lab) talk(lines ...string) (codes []string, status int) {
	l.t.Helper()
	stdin, commands := io.Pipe()
	replies, stdout := io.Pipe()
	done := make(chan int)
	go func() {
		var stderr bytes.Buffer
		status := sendmail.Main(l.t.Context(), []string{"-bs"}, stdin, stdout, &stderr, l.env)
		stdout.Close()
		if stderr.Len() > 0 {
			l.t.Error(stderr.String())
		}
		done <- status
	}()
	r := newReplies(replies)
	codes = append(codes, r.next())
	for _, line := range lines {
		io.WriteString(commands, strings.ReplaceAll(line, "\n", "\r\n")+"\r\n")
		codes = append(codes, r.next())
	}
	commands.Close()
	io.Copy(io.Discard, replies)
	return codes, <-done
}

type replies struct {
	r    io.Reader
	line []byte
}

func newReplies(r io.Reader) *replies { return &replies{r: r} }

// next is the code of the next reply, "" at the end.
func (r *replies) next() string {
	for {
		line := r.read()
		if len(line) < 4 || line[3] == ' ' {
			return line[:min(len(line), 3)]
		}
	}
}

func (r *replies) read() string {
	one := make([]byte, 1)
	r.line = r.line[:0]
	for {
		if _, err := io.ReadFull(r.r, one); err != nil || one[0] == '\n' {
			return strings.TrimSuffix(string(r.line), "\r")
		}
		r.line = append(r.line, one[0])
	}
}

// dialogue is what Symfony says with -bs.
var dialogue = []string{
	"EHLO [127.0.0.1]", "MAIL FROM:<s@x.example>", "RCPT TO:<a@x.example>", "RCPT TO:<b@x.example>",
	"DATA", "Subject: s\nBcc: b@x.example\n\n..dot\n.", "QUIT",
}

var dialogueCodes = []string{"220", "250", "250", "250", "250", "354", "250", "221"}

func TestSMTPOnStandardInputIsTheServers(t *testing.T) {
	l := newLab(t)
	s := l.serve(nil)
	codes, status := l.talk(dialogue...)
	if diff := cmp.Diff(dialogueCodes, codes); diff != "" || status != 0 {
		t.Errorf("status %d, codes (-want +got):\n%s", status, diff)
	}
	want := []message{{From: "s@x.example", To: []string{"a@x.example", "b@x.example"}, Content: "Subject: s\r\nBcc: b@x.example\r\n\r\n.dot\r\n"}}
	if diff := cmp.Diff(want, s.received()); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
}

func TestARefusalOfTheServerReachesStandardOutput(t *testing.T) {
	l := newLab(t)
	l.maildrop()
	l.serve(refuse("GREETING", 550, "5.7.1"))
	codes, _ := l.talk()
	if diff := cmp.Diff([]string{"550"}, codes); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}

func TestSMTPWithoutAServerGoesIntoTheMaildrop(t *testing.T) {
	for _, row := range []struct {
		what  string
		serve func(l *lab)
	}{
		{"no server", func(*lab) {}},
		{"a server that says later", func(l *lab) { l.serve(refuse("GREETING", 421, "4.3.2")) }},
	} {
		t.Run(row.what, func(t *testing.T) {
			l := newLab(t)
			l.maildrop()
			row.serve(l)
			codes, status := l.talk(dialogue...)
			if diff := cmp.Diff(dialogueCodes, codes); diff != "" || status != 0 {
				t.Errorf("status %d, codes (-want +got):\n%s", status, diff)
			}
			want := []message{{From: "s@x.example", To: []string{"a@x.example", "b@x.example"}, Submission: "yes",
				Content: "Subject: s\r\n\r\n.dot\r\n"}}
			if diff := cmp.Diff(want, l.drops()); diff != "" {
				t.Errorf("dropped (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSMTPWithoutServerAndMaildropSaysLater(t *testing.T) {
	codes, _ := newLab(t).talk("EHLO x.example", "MAIL FROM:<>", "RCPT TO:<postmaster>", "DATA", ".", "QUIT")
	if diff := cmp.Diff([]string{"220", "250", "250", "250", "354", "451", "221"}, codes); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
}

func TestAMessageCutOffOnStandardInputIsDroppedNowhere(t *testing.T) {
	l := newLab(t)
	l.maildrop()
	text := "EHLO x.example\r\nMAIL FROM:<s@x.example>\r\nRCPT TO:<a@x.example>\r\nDATA\r\nSubject: s\r\n\r\nhalf a li"
	l.run(text, "-bs")
	n, err := l.box.Take(t.Context(), func(context.Context, maildrop.Drop, io.Reader) error { return nil })
	if n != 0 || err != nil {
		t.Errorf("took %d, %v", n, err)
	}
}
