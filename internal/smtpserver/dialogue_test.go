package smtpserver

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write what was said into testdata/dialogues")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTheServerSaysWhatTheDialoguesSay plays the files of testdata/dialogues. A
// line begins with
//
//	#     a comment
//	set   name=value of a field of Server, or TLS
//	C:    a line of the client; lines without an answer between them go in one write
//	C=    octets of the client, as a Go string
//	TLS   a handshake
//	FIN   the client closes its sending side
//	WAIT  the client is idle for a duration
//	S:    a line of the server; (closed) or (reset) is the end
//	Q:    a message that was accepted: reverse-path, recipients, content
func TestTheServerSaysWhatTheDialoguesSay(t *testing.T) {
	files, err := filepath.Glob("testdata/dialogues/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				got := play(t, string(text))
				if *update {
					if err := os.WriteFile(name, []byte(got), 0o666); err != nil {
						t.Fatal(err)
					}
				}
				if diff := cmp.Diff(strings.Split(string(text), "\n"), strings.Split(got, "\n")); diff != "" {
					t.Errorf("-file +server:\n%s", diff)
				}
			})
		})
	}
}

// play returns the dialogue with what the server has said in fact.
func play(t *testing.T, script string) string {
	t.Helper()
	s, d, _ := newServer()
	var out, pending strings.Builder
	var p *peer
	flush := func() {
		if p == nil {
			c, _, _ := connect(t, s)
			p = newPeer(t, c)
		}
		if pending.Len() > 0 {
			p.send(pending.String())
			pending.Reset()
		}
	}
	listen := func() {
		flush()
		for _, line := range p.hear() {
			fmt.Fprintf(&out, "S: %s\n", line)
		}
	}
	heard := false // what the server says now has been put down
	for sc := bufio.NewScanner(strings.NewReader(script)); sc.Scan(); {
		line := sc.Text()
		if strings.HasPrefix(line, "S:") {
			if !heard {
				listen()
				heard = true
			}
			continue
		}
		if strings.HasPrefix(line, "Q:") {
			continue
		}
		heard = false
		fmt.Fprintln(&out, line)
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "set":
			set(t, s, rest)
		case "C:":
			pending.WriteString(rest + "\r\n")
		case "C=":
			raw, err := strconv.Unquote(rest)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			pending.WriteString(raw)
		case "TLS":
			p.startTLS()
		case "FIN":
			flush()
			p.raw.CloseWrite()
		case "WAIT":
			pause, err := time.ParseDuration(rest)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(pause)
		}
	}
	if !heard {
		listen()
	}
	for _, m := range d.accepted() {
		fmt.Fprintf(&out, "Q: <%s> %s %q\n", m.from, strings.Join(m.rcpts, ","), m.content)
	}
	return out.String()
}

// set sets a field of the server.
func set(t *testing.T, s *Server, setting string) {
	t.Helper()
	name, value, _ := strings.Cut(setting, "=")
	if name == "TLS" {
		s.TLS = tlsConfig(t)
		return
	}
	f := reflect.ValueOf(s).Elem().FieldByName(name)
	switch {
	case f.Kind() == reflect.Bool:
		f.SetBool(true)
	case f.Type() == reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(value)
		if err != nil {
			t.Fatal(err)
		}
		f.SetInt(int64(d))
	default:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		f.SetInt(n)
	}
}
