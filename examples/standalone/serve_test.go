package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// taken is a port of loopback that somebody listens on.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func TestAServerThatCannotStartSaysWhyAndNamesTheThing(t *testing.T) {
	port := taken(t)
	bare, missing := filepath.Join(t.TempDir(), "bare.pem"), filepath.Join(t.TempDir(), "missing.pem")
	if err := os.WriteFile(bare, []byte("no certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 120)
	for _, tt := range []struct {
		setting string
		want    []string
	}{
		{`listen.smtp = "` + port + `"`, []string{"smtp listener", port, "address already in use"}},
		{`listen.submission = "` + port + `"`, []string{"submission listener", port, "address already in use"}},
		{`listen.smtp = "192.0.2.1:2525"`, []string{"smtp listener", "192.0.2.1:2525", "cannot assign requested address"}},
		{"[tls]\ncertificate = \"" + missing + "\"\nkey = \"" + missing + "\"", []string{missing, "no such file"}},
		{"[tls]\ncertificate = \"" + bare + "\"\nkey = \"" + bare + "\"", []string{bare, "PEM"}},
		{`log.file = "` + missing + `/log"`, []string{"log.file", missing, "no such file or directory"}},
		{`listen.sendmail = "` + long + `"`, []string{"sendmail listener", long, "too long"}},
		{`listen.sendmail = "panelmail.toml"`, []string{"sendmail listener", "panelmail.toml is in the way"}},
	} {
		l := newLab(t)
		l.configure(`hostname = "mail.panel.example"`, `listen.smtp = "127.0.0.1:0"`, `listen.submission = ""`)
		text := fmt.Sprintf("hostname = \"mail.panel.example\"\n%s\n", tt.setting)
		if !strings.Contains(tt.setting, "listen.smtp") {
			text = "listen.smtp = \"127.0.0.1:0\"\n" + text
		}
		if !strings.Contains(tt.setting, "listen.submission") {
			text = "listen.submission = \"\"\n" + text
		}
		l.configure(text)
		got := l.run("", "serve")
		if got.Status != 1 || strings.Count(got.Stderr, "\n") != 1 {
			t.Errorf("%s: %+v", tt.setting, got)
		}
		for _, want := range tt.want {
			if !strings.Contains(got.Stderr, want) {
				t.Errorf("%s: no %q in %q", tt.setting, want, got.Stderr)
			}
		}
		// What is wrong was nothing of the data's, which a server can be started on.
		l.configure(`hostname = "mail.panel.example"`, `listen.smtp = "127.0.0.1:0"`, `listen.submission = ""`)
		l.serve().end()
	}
}

func TestADataDirectoryThatCannotBeUsedIsNamed(t *testing.T) {
	l := newLab(t)
	file := filepath.Join(l.data, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(l.data, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(l.data, "linked", "panelmail.db")
	if err := os.Mkdir(filepath.Dir(link), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		file:                         file + ": not a directory",
		filepath.Join(file, "below"): ": not a directory",
		open:                         "has mode 0777",
		filepath.Dir(link):           link,
	} {
		for _, args := range []string{"serve", "queue list"} {
			got := l.run("", append(strings.Fields(args), "--data", dir)...)
			if got.Status != 1 || strings.Count(got.Stderr, "\n") != 1 || !strings.Contains(strings.ReplaceAll(got.Stderr, " is not", ": not"), want) {
				t.Errorf("%s --data %s: %+v, want %q", args, dir, got, want)
			}
		}
	}
}

func TestASecondServerNamesTheFirstAndLeavesItAlone(t *testing.T) {
	l := newLab(t)
	first := l.serve()
	for range 2 {
		got := l.run("", "serve")
		if want := fmt.Sprintf("panelmail: a server runs already on %s: process %d\n", l.data, os.Getpid()); got.Status != 1 || got.Stderr != want {
			t.Errorf("the second: %+v, want %q", got, want)
		}
	}
	l.do("", "site", "add", "shop")
	if !strings.Contains(greeting(t, first.listens("smtp")), "220 mail.panel.example") {
		t.Error("the first does not greet any more")
	}
	if got := l.run("Subject: x\n\nx\n", "sendmail", "-f", "a@shop.example", "nobody@"+"mail.panel.example"); got.Status != 67 {
		t.Errorf("over the sendmail socket: %+v", got)
	}
	other := newLab(t)
	other.configure(`hostname = "mail.panel.example"`, `listen.smtp = ""`, `listen.submission = ""`, `listen.sendmail = "`+filepath.Join(l.data, "sendmail.sock")+`"`)
	if got := other.run("", "serve"); got.Status != 1 || !strings.Contains(got.Stderr, "sendmail.sock is in use by another process") {
		t.Errorf("another server on the same sendmail socket: %+v", got)
	}
	first.end()
	l.serve()
}

func greeting(t *testing.T, addr string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 512)
	n, err := c.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	return string(line[:n])
}

func TestSocketsThatNobodyAnswersDoNotKeepAServerFromStarting(t *testing.T) {
	l := newLab(t)
	for _, name := range []string{"control.sock", "sendmail.sock"} {
		dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(l.data, name), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		dead.SetUnlinkOnClose(false) // as kill -9 leaves it
		dead.Close()
	}
	l.do("", "queue", "list")
	l.serve()
	l.do("", "queue", "list")
}

func TestTheCertificateOfTheFirstStartIsKept(t *testing.T) {
	l := newLab(t)
	l.serve().end()
	read := func() []byte {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(l.data, "self-signed.crt"))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first := read()
	l.serve().end()
	if !bytes.Equal(first, read()) {
		t.Error("another certificate was made")
	}
	info, err := os.Stat(filepath.Join(l.data, "self-signed.key"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the key: %v, %v", info.Mode(), err)
	}
}
