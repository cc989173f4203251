package sendmail_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/panelmail/panelmail/mailcore/sendmail"
)

func TestAMessageReachesTheServerAsItShould(t *testing.T) {
	for _, row := range []struct {
		what  string
		args  []string
		stdin string
		user  sendmail.User
		want  message
	}{
		{"a message of mailx", []string{"-i", "--", "root"}, "Subject: s\n\nx\n", sendmail.User{Name: "web1"},
			message{From: "web1@host.example", To: []string{"root@host.example"}, Content: "Subject: s\r\n\r\nx\r\n"}},
		{"PHP with CRLF header and LF body", []string{"-t", "-i", "-fbounce@site.example"},
			"To: A <a@x.example>\r\nSubject: s\r\nX: 1\r\n\r\nline\nline\n", sendmail.User{Name: "web1"},
			message{From: "bounce@site.example", To: []string{"a@x.example"}, Content: "To: A <a@x.example>\r\nSubject: s\r\nX: 1\r\n\r\nline\r\nline\r\n"}},
		{"PHP 8 with CRCRLF", []string{"-t", "-i"}, "To: a@x.example\r\r\nSubject: s\r\r\n\r\r\nx\r\r\n", sendmail.User{Name: "web1"},
			message{From: "web1@host.example", To: []string{"a@x.example"}, Content: "To: a@x.example\r\nSubject: s\r\n\r\nx\r\n"}},
		{"To, Cc and Bcc add to the operands, once each", []string{"-t", "-i", "z@x.example"},
			"To: a@x.example, g: b@x.example;\nCc: c@x.example,\n\tz@X.example\nBcc: d@x.example\nBcc: e@x.example\n\nx\n", sendmail.User{Name: "web1"},
			message{From: "web1@host.example", To: []string{"z@x.example", "a@x.example", "b@x.example", "c@x.example", "d@x.example", "e@x.example"},
				Content: "To: a@x.example, g: b@x.example;\r\nCc: c@x.example,\r\n\tz@X.example\r\n\r\nx\r\n"}},
		{"Resent fields replace the others", []string{"-t", "-i"},
			"Resent-To: r@x.example\nResent-Bcc: s@x.example\nTo: a@x.example\nBcc: b@x.example\n\nx\n", sendmail.User{Name: "web1"},
			message{From: "web1@host.example", To: []string{"r@x.example", "s@x.example"}, Content: "Resent-To: r@x.example\r\nTo: a@x.example\r\n\r\nx\r\n"}},
		{"Bcc goes without -t too", []string{"-i", "a@x.example"}, "bcc : d@x.example\nSubject: s\n\nx\n", sendmail.User{Name: "web1"},
			message{From: "web1@host.example", To: []string{"a@x.example"}, Content: "Subject: s\r\n\r\nx\r\n"}},
		{"a claimed submission goes", []string{"-i", "a@x.example"}, "X-Panelmail-Submission: forged\nSubject: s\n\nx\n", sendmail.User{Name: "web1"},
			message{From: "web1@host.example", To: []string{"a@x.example"}, Content: "Subject: s\r\n\r\nx\r\n"}},
		{"a lone dot ends", []string{"a@x.example"}, "Subject: s\n\nx\n.\ny\n", sendmail.User{Name: "web1"},
			message{From: "web1@host.example", To: []string{"a@x.example"}, Content: "Subject: s\r\n\r\nx\r\n"}},
		{"a lone dot is content with -i", []string{"-i", "a@x.example"}, "Subject: s\n\nx\n.\ny\n..\n", sendmail.User{Name: "web1"},
			message{From: "web1@host.example", To: []string{"a@x.example"}, Content: "Subject: s\r\n\r\nx\r\n.\r\ny\r\n..\r\n"}},
		{"the null reverse-path", []string{"-i", "-f", "<>", "a@x.example"}, "Subject: s\n\nx\n", sendmail.User{Name: "web1", FullName: "W"},
			message{To: []string{"a@x.example"}, Content: "Subject: s\r\n\r\nx\r\n"}},
		{"the empty reverse-path", []string{"-i", "-f", "", "a@x.example"}, "Subject: s\n\nx\n", sendmail.User{Name: "web1"},
			message{To: []string{"a@x.example"}, Content: "Subject: s\r\n\r\nx\r\n"}},
		{"-F without From", []string{"-i", "-FCron Daemon", "-f", "root", "a@x.example"}, "Subject: s\n\nx\n", sendmail.User{Name: "web1"},
			message{From: "root@host.example", To: []string{"a@x.example"}, Content: "From: Cron Daemon <root@host.example>\r\nSubject: s\r\n\r\nx\r\n"}},
		{"-F beside From", []string{"-i", "-FX", "a@x.example"}, "From: y@x.example\n\nx\n", sendmail.User{Name: "web1"},
			message{From: "web1@host.example", To: []string{"a@x.example"}, Content: "From: y@x.example\r\n\r\nx\r\n"}},
		{"-F that is not ASCII", []string{"-i", "-FJürgen", "a@x.example"}, "\nx\n", sendmail.User{Name: "web1"},
			message{From: "web1@host.example", To: []string{"a@x.example"}, Content: "From: =?utf-8?b?SsO8cmdlbg==?= <web1@host.example>\r\n\r\nx\r\n"}},
		{"the full name of the user", []string{"-i", "a@x.example"}, "\nx\n", sendmail.User{Name: "web1", FullName: "Site \"One\""},
			message{From: "web1@host.example", To: []string{"a@x.example"}, Content: "From: \"Site \\\"One\\\"\" <web1@host.example>\r\n\r\nx\r\n"}},
		{"no header at all", []string{"-i", "a@x.example"}, "hello world\n", sendmail.User{Name: "web1"},
			message{From: "web1@host.example", To: []string{"a@x.example"}, Content: "\r\nhello world\r\n"}},
		{"nothing at all", []string{"-i", "a@x.example"}, "", sendmail.User{Name: "web1"},
			message{From: "web1@host.example", To: []string{"a@x.example"}, Content: "\r\n"}},
		{"DSN parameters", []string{"-i", "-Nsuccess", "-R", "hdrs", "-Ve+1", "a@x.example"}, "\nx\n", sendmail.User{Name: "web1"},
			message{From: "web1@host.example", To: []string{"a@x.example"}, Notify: "SUCCESS", Ret: "HDRS", EnvID: "e+1", Content: "\r\nx\r\n"}},
	} {
		t.Run(row.what, func(t *testing.T) {
			l := newLab(t)
			l.env.User = func(int) (sendmail.User, error) { return row.user, nil }
			s := l.serve(nil)
			if status, _, stderr := l.run(row.stdin, row.args...); status != 0 || stderr != "" {
				t.Errorf("status %d: %s", status, stderr)
			}
			row.want.Submission = "yes"
			if diff := cmp.Diff([]message{row.want}, s.received()); diff != "" {
				t.Errorf("received (-want +got):\n%s", diff)
			}
			l.maildrop()
			if d := l.drops(); len(d) != 0 {
				t.Errorf("and dropped: %v", d)
			}
		})
	}
}

func TestAMessageTooLargeForMemoryArrivesWhole(t *testing.T) {
	l := newLab(t)
	s := l.serve(nil)
	body := strings.Repeat(strings.Repeat("0123456789", 7)+"\r\n", 3<<20/72)
	if status, _, stderr := l.run("Subject: s\r\n\r\n"+body, "-i", "a@x.example"); status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	if got := s.received(); len(got) != 1 || got[0].Content != "Subject: s\r\n\r\n"+body {
		t.Error("the message is not the same")
	}
	l.maildrop()
	l.env.Places.Socket += ".none"
	if status, _, stderr := l.run("Subject: s\r\n\r\n"+body, "-i", "a@x.example"); status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	if got := l.drops(); len(got) != 1 || got[0].Content != "Subject: s\r\n\r\n"+body {
		t.Error("the dropped message is not the same")
	}
}

func TestRefusalsHaveTheirExitStatus(t *testing.T) {
	for _, row := range []struct {
		step     string
		code     int
		enhanced string
		status   int
	}{
		{"GREETING", 550, "5.7.1", sendmail.ExitNoPerm},
		{"MAIL", 553, "5.7.1", sendmail.ExitNoPerm},
		{"MAIL", 552, "5.3.4", sendmail.ExitUnavailable},
		{"RCPT a@x.example", 550, "5.1.1", sendmail.ExitNoUser},
		{"RCPT a@x.example", 554, "5.7.1", sendmail.ExitNoPerm},
		{"DATA", 550, "5.6.0", sendmail.ExitData},
		{"DATA", 554, "5.0.0", sendmail.ExitUnavailable},
	} {
		t.Run(fmt.Sprint(row.step, row.enhanced), func(t *testing.T) {
			l := newLab(t)
			l.maildrop()
			l.serve(refuse(row.step, row.code, row.enhanced))
			status, _, stderr := l.run("\nx\n", "-i", "a@x.example")
			if status != row.status || !strings.Contains(stderr, fmt.Sprint(row.code)) {
				t.Errorf("status %d: %s", status, stderr)
			}
			if d := l.drops(); len(d) != 0 {
				t.Errorf("a refused message was dropped: %v", d)
			}
		})
	}
}

func TestWhatTheServerPutsOffGoesToTheMaildrop(t *testing.T) {
	for _, step := range []string{"GREETING", "MAIL", "RCPT a@x.example", "DATA"} {
		for _, code := range []int{421, 451} {
			t.Run(fmt.Sprint(step, code), func(t *testing.T) {
				l := newLab(t)
				l.maildrop()
				l.serve(refuse(step, code, "4.3.0"))
				if status, _, stderr := l.run("Bcc: b@x.example\n\nx\n", "-i", "-fs@x.example", "-Ndelay", "a@x.example"); status != 0 {
					t.Errorf("status %d: %s", status, stderr)
				}
				want := []message{{From: "s@x.example", To: []string{"a@x.example"}, Notify: "DELAY", Submission: "yes", Content: "\r\nx\r\n"}}
				if diff := cmp.Diff(want, l.drops()); diff != "" {
					t.Errorf("dropped (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestOnlyTheRecipientsPutOffGoToTheMaildrop(t *testing.T) {
	l := newLab(t)
	l.maildrop()
	s := l.serve(func(step string) error {
		return errors.Join(refuse("RCPT later@x.example", 450, "4.2.1")(step), refuse("RCPT never@x.example", 550, "5.1.1")(step))
	})
	status, _, stderr := l.run("\nx\n", "-i", "now@x.example", "later@x.example", "never@x.example")
	if status != sendmail.ExitNoUser || !strings.Contains(stderr, "never@x.example: 550") || strings.Contains(stderr, "later@") {
		t.Errorf("status %d: %s", status, stderr)
	}
	want := message{From: "web1@host.example", To: []string{"now@x.example"}, Submission: "yes", Content: "\r\nx\r\n"}
	if diff := cmp.Diff([]message{want}, s.received()); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
	want.To = []string{"later@x.example"}
	if diff := cmp.Diff([]message{want}, l.drops()); diff != "" {
		t.Errorf("dropped (-want +got):\n%s", diff)
	}
}

func TestWithoutAServerTheMessageIsDropped(t *testing.T) {
	for _, row := range []struct {
		what  string
		serve func(t *testing.T, socket string)
	}{
		{"no socket", func(*testing.T, string) {}},
		{"a socket nobody listens at", func(t *testing.T, socket string) {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: socket})
			if err != nil {
				t.Fatal(err)
			}
			l.SetUnlinkOnClose(false)
			l.Close()
		}},
		{"a server that says nothing", func(t *testing.T, socket string) {
			l, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
		}},
		{"a server that closes", func(t *testing.T, socket string) {
			l, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			go func() {
				for c, err := l.Accept(); err == nil; c, err = l.Accept() {
					c.Close()
				}
			}()
		}},
	} {
		t.Run(row.what, func(t *testing.T) {
			l := newLab(t)
			l.maildrop()
			row.serve(t, l.env.Places.Socket)
			if status, _, stderr := l.run("To: a@x.example\n\nx\n", "-t", "-i"); status != 0 || stderr != "" {
				t.Errorf("status %d: %s", status, stderr)
			}
			if d := l.drops(); len(d) != 1 {
				t.Errorf("dropped %v", d)
			}
		})
	}
}

func TestAfterALostAnswerTheDroppedMessageHasTheSameSubmission(t *testing.T) {
	l := newLab(t)
	l.maildrop()
	s := l.serve(refuse("DATA", 421, "4.3.0"))
	if status, _, stderr := l.run("\nx\n", "-i", "a@x.example"); status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	files, _ := filepath.Glob(filepath.Join(l.box.Dir, "*", "*"))
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	_, id, _ := strings.Cut(s.ids[0], ": ")
	if !strings.Contains(string(text), "\nsubmission "+id+"\n") || !strings.Contains(string(text), "\n"+s.ids[0]+"\r\n") {
		t.Errorf("the server saw %s, the file is\n%s", s.ids[0], text)
	}
}

func TestWithoutServerAndMaildropItIsForLater(t *testing.T) {
	l := newLab(t)
	status, _, stderr := l.run("\nx\n", "-i", "a@x.example")
	if status != sendmail.ExitTempFail || !strings.Contains(stderr, l.env.Places.Socket) || !strings.Contains(stderr, "maildrop") {
		t.Errorf("status %d: %s", status, stderr)
	}
}

func TestWhatIsWrongHasItsStatusAndReachesNobody(t *testing.T) {
	for _, row := range []struct {
		what   string
		stdin  string
		args   []string
		status int
		text   string
	}{
		{"no recipient", "\nx\n", []string{"-i"}, sendmail.ExitUsage, "recipient"},
		{"no recipient in the header", "Subject: s\n\nx\n", []string{"-t"}, sendmail.ExitData, "recipient"},
		{"an empty group", "To: undisclosed-recipients:;\n\nx\n", []string{"-t"}, sendmail.ExitData, "recipient"},
		{"junk in To", "To: John Doe\n\nx\n", []string{"-t"}, sendmail.ExitData, "John Doe"},
		{"an address that is none", "To: a@b@c.example\n\nx\n", []string{"-t"}, sendmail.ExitData, "a@b@c.example"},
		{"a source route", "\nx\n", []string{"<@a.example:b@c.example>"}, sendmail.ExitData, "source route"},
		{"an option as sender", "\nx\n", []string{"-f-oQ/tmp@x.example", "a@x.example"}, sendmail.ExitUsage, "-f"},
		{"a sender that swallowed an option", "To: a@x.example\n\nx\n", []string{"-f", "-t", "a@x.example"}, sendmail.ExitUsage, "hyphen"},
		{"two senders", "\nx\n", []string{"-fa@x.example,b@x.example", "a@x.example"}, sendmail.ExitUsage, "2 addresses"},
		{"CR LF in the sender", "\nx\n", []string{"-fa@x.example\r\nRCPT TO:<v@x.example>", "a@x.example"}, sendmail.ExitUsage, "control"},
		{"LF behind the sender", "\nx\n", []string{"-fa@x.example\n", "a@x.example"}, sendmail.ExitUsage, "control"},
		{"NUL in the sender", "\nx\n", []string{"-fa\x00@x.example", "a@x.example"}, sendmail.ExitUsage, "control"},
		{"CR LF in the name", "\nx\n", []string{"-Fx\r\nBcc: v@x.example", "a@x.example"}, sendmail.ExitUsage, "control"},
		{"CR LF in a recipient", "\nx\n", []string{"a@x.example>\r\nRCPT TO:<v@x.example"}, sendmail.ExitData, "recipient"},
		{"LF behind a recipient", "\nx\n", []string{"a@x.example\n"}, sendmail.ExitData, "recipient"},
		{"NUL in a recipient", "\nx\n", []string{"a\x00@x.example"}, sendmail.ExitData, "control"},
		{"Bcc behind a broken header", "To: a@x.example\njunk line\nBcc: b@x.example\n\nx\n", []string{"-t"}, sendmail.ExitData, "Bcc"},
		{"a header too large", strings.Repeat("X: "+strings.Repeat("x", 900)+"\n", 200) + "\nx\n", []string{"a@x.example"}, sendmail.ExitData, "large"},
		{"a daemon", "", []string{"-bd"}, sendmail.ExitUsage, "server"},
		{"a list nobody makes", "", []string{"-bp"}, sendmail.ExitUsage, "queue"},
		{"an explanation nobody makes", "", []string{"-bv", "a@x.example"}, sendmail.ExitUsage, "explain"},
		{"a flush nobody does", "", []string{"-q"}, sendmail.ExitUsage, "flush"},
	} {
		t.Run(row.what, func(t *testing.T) {
			l := newLab(t)
			l.maildrop()
			s := l.serve(nil)
			status, _, stderr := l.run(row.stdin, row.args...)
			if status != row.status || !strings.Contains(stderr, row.text) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("status %d: %s", status, stderr)
			}
			if got := s.received(); len(got) != 0 {
				t.Errorf("the server received %v", got)
			}
			if d := l.drops(); len(d) != 0 {
				t.Errorf("dropped %v", d)
			}
		})
	}
}

func TestNewaliasesDoesNothingSuccessfully(t *testing.T) {
	if status, stdout, stderr := newLab(t).run("", "-bi"); status != 0 || stdout+stderr != "" {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
}

func TestDroppedMessagesKeepTheirOrder(t *testing.T) {
	l := newLab(t)
	l.maildrop()
	var want []message
	for i := range 5 {
		to := fmt.Sprintf("a%d@x.example", i)
		want = append(want, message{To: []string{to}})
		if status, _, stderr := l.run("\nx\n", "-i", to); status != 0 {
			t.Fatalf("status %d: %s", status, stderr)
		}
	}
	only := cmpopts.IgnoreFields(message{}, "From", "Submission", "Content")
	if diff := cmp.Diff(want, l.drops(), only); diff != "" {
		t.Errorf("dropped (-want +got):\n%s", diff)
	}
}
