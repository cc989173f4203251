package interop_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/smtp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/internal/interop"
)

// runSink starts a sink for the length of a test.
func runSink(t *testing.T, s *interop.Sink) *interop.Sink {
	t.Helper()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func submitter(t *testing.T, addr string) *interop.Submitter {
	t.Helper()
	c, err := interop.NewSubmitter(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestASinkKeepsWhatWasOnTheWire(t *testing.T) {
	for _, row := range []struct{ name, wire, raw, content string }{
		{"empty", ".\r\n", "", ""},
		{"a line", "a\r\n.\r\n", "a\r\n", "a\r\n"},
		{"stuffed", "..\r\n.a\r\n..b\r\n.\r\n", "..\r\n.a\r\n..b\r\n", ".\r\na\r\n.b\r\n"},
		{"bare ends around a dot", "a\n.\n.\r\n\n.\r\nb\r.\r\r\n.\r\n", "a\n.\n.\r\n\n.\r\nb\r.\r\r\n", "a\n.\n.\r\n\n.\r\nb\r.\r\r\n"},
		{"NUL", "a\x00b\r\n.\r\n", "a\x00b\r\n", "a\x00b\r\n"},
		{"a line longer than buffers", strings.Repeat("x", 70_000) + "\r\n.\r\n", strings.Repeat("x", 70_000) + "\r\n", strings.Repeat("x", 70_000) + "\r\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := runSink(t, &interop.Sink{})
			c := submitter(t, s.Addr)
			if _, err := c.Send("a@a.test", []string{"b@b.test", "c@c.test"}, []byte(row.wire)); err != nil {
				t.Fatal(err)
			}
			got := s.Messages()
			for i := range got {
				got[i].Peer = ""
			}
			want := []interop.Message{{
				HELO: "client.test",
				Mail: "FROM:<a@a.test>",
				Rcpt: []string{"TO:<b@b.test>", "TO:<c@c.test>"},
				Raw:  []byte(row.raw),
				Size: len(row.raw),
			}}
			if row.raw == "" {
				want[0].Raw = nil
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(row.content, string(got[0].Content())); diff != "" {
				t.Errorf("content (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"b@b.test", "c@c.test"}, got[0].To()); diff != "" || got[0].From() != "a@a.test" {
				t.Errorf("addresses: %s %s", got[0].From(), diff)
			}
		})
	}
}

func TestWhatIsStuffedIsUnstuffed(t *testing.T) {
	s := runSink(t, &interop.Sink{})
	c := submitter(t, s.Addr)
	for _, content := range []string{"", ".", "..\r\n.\r\n", "a", "a\r\n.b\r\n"} {
		if _, err := c.SendPipelined("", []string{"b@b.test"}, interop.Stuffed([]byte(content))); err != nil {
			t.Fatal(err)
		}
		got := s.Messages()[s.Count()-1]
		want := content
		if !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}
		if diff := cmp.Diff(want, string(got.Content())); diff != "" {
			t.Errorf("%q (-want +got):\n%s", content, diff)
		}
	}
}

func TestASinkAnswersAsTold(t *testing.T) {
	s := runSink(t, &interop.Sink{Answer: func(verb, line string) string {
		switch {
		case strings.Contains(line, "no@"):
			return "550 5.1.1 No such user"
		case strings.Contains(line, "drop@"):
			return interop.Drop
		}
		return ""
	}})
	c := submitter(t, s.Addr)
	_, err := c.Send("a@a.test", []string{"no@b.test"}, []byte(".\r\n"))
	if want := "RCPT TO:<no@b.test>: 550 5.1.1 No such user"; err == nil || err.Error() != want {
		t.Errorf("refused recipient: %v, want %s", err, want)
	}
	if _, err := c.Command("DATA"); err == nil || !strings.Contains(err.Error(), "554") {
		t.Errorf("DATA without recipients: %v", err)
	}
	if _, err := c.Command("RCPT TO:<drop@b.test>"); err == nil || !strings.Contains(err.Error(), io.EOF.Error()) {
		t.Errorf("dropped connection: %v", err)
	}
	if n := s.Count(); n != 0 {
		t.Errorf("%d messages", n)
	}
}

func TestARefusedMessageIsNotKept(t *testing.T) {
	for _, stage := range []string{"DATA", "."} {
		s := runSink(t, &interop.Sink{Answer: func(verb, line string) string {
			if verb == stage {
				return "451 4.0.0 Later"
			}
			return ""
		}})
		c := submitter(t, s.Addr)
		if _, err := c.Send("a@a.test", []string{"b@b.test"}, []byte(".\r\n")); err == nil || !strings.Contains(err.Error(), "451") {
			t.Errorf("at %s: %v", stage, err)
		}
		if n := s.Count(); n != 0 {
			t.Errorf("at %s: %d messages", stage, n)
		}
		if _, err := c.Command("NOOP"); err != nil {
			t.Errorf("after %s: %v", stage, err)
		}
	}
}

func TestAPipelinedDialogueIsAnsweredWhole(t *testing.T) {
	s := runSink(t, &interop.Sink{})
	c, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n")
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for line := range strings.Lines(string(all)) {
		if line[3] == ' ' {
			codes = append(codes, line[:3])
		}
	}
	if diff := cmp.Diff([]string{"220", "250", "250", "250", "354", "250", "221"}, codes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestASinkSpeaksTLS(t *testing.T) {
	cert, err := interop.NewCertificate("sink.test", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	conf, err := cert.Server()
	if err != nil {
		t.Fatal(err)
	}
	s := runSink(t, &interop.Sink{TLS: conf})
	c, err := smtp.Dial(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.StartTLS(&tls.Config{RootCAs: cert.Pool(), ServerName: "sink.test"}); err != nil {
		t.Fatal(err)
	}
	if ok, _ := c.Extension("STARTTLS"); ok {
		t.Error("STARTTLS is offered inside TLS")
	}
	c.Mail("a@a.test")
	c.Rcpt("b@b.test")
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "hello\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if m := s.Messages()[0]; !m.TLS || string(m.Raw) != "hello\r\n" {
		t.Errorf("got %+v", m)
	}
}

func TestASinkThatDiscardsStillCounts(t *testing.T) {
	s := runSink(t, &interop.Sink{Discard: true})
	c := submitter(t, s.Addr)
	for range 2 {
		if _, err := c.Send("a@a.test", []string{"b@b.test"}, []byte("abc\r\n.\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range s.Messages() {
		if m.Raw != nil || m.Size != 5 || m.From() != "a@a.test" {
			t.Errorf("got %+v", m)
		}
	}
}

func TestASinkServesManyAtOnceAndClosesThemAll(t *testing.T) {
	var received sync.Map
	s := &interop.Sink{Forget: true, Received: func(m interop.Message) { received.Store(string(m.Raw), true) }}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	for range 20 {
		c := submitter(t, s.Addr)
		clients.Go(func() {
			for range 10 {
				if _, err := c.Send("a@a.test", []string{"b@b.test"}, []byte("x\r\n.\r\n")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
	idle, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(idle)
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadByte(); err == nil {
		t.Error("an idle connection was left open")
	}
	if _, ok := received.Load("x\r\n"); !ok || s.Count() != 200 || len(s.Messages()) != 0 {
		t.Errorf("%d counted, %d kept", s.Count(), len(s.Messages()))
	}
}
