package sendmail

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestTheServerIsFoundInOrder(t *testing.T) {
	const uid = 1001
	for _, row := range []struct {
		what     string
		env      map[string]string
		config   string
		there    []string // directories made, below the test's own
		socket   string
		maildrop string
	}{
		{"nothing is there", nil, "", nil, "run/s.sock", "spool"},
		{"the environment", map[string]string{"PANELMAIL_SOCKET": "/x/s.sock", "PANELMAIL_MAILDROP": "/y"},
			"socket = /z\n", []string{"run/s.sock"}, "/x/s.sock", "/y"},
		{"the environment names the socket only", map[string]string{"PANELMAIL_SOCKET": "/x/s.sock"},
			"", nil, "/x/s.sock", "/x/maildrop"},
		{"the file", nil, "# where\n\n socket = /z/s.sock \nmaildrop=/w\norigin = o.example", []string{"run/s.sock"}, "/z/s.sock", "/w"},
		{"the file names the socket only", nil, "socket = /z/s.sock\n", nil, "/z/s.sock", "/z/maildrop"},
		{"the file names a socket below /run", nil, "socket = /run/z/s.sock\n", nil, "/run/z/s.sock", "/var/spool/panelmail"},
		{"the file names the maildrop only", nil, "maildrop = /w\n", nil, "run/s.sock", "/w"},
		{"the system's socket", nil, "", []string{"run/s.sock", "data/sendmail.sock"}, "run/s.sock", "spool"},
		{"the system's maildrop while its server is down", nil, "", []string{"spool/1001", "data/sendmail.sock"}, "run/s.sock", "spool"},
		{"a maildrop of others is none", nil, "", []string{"spool/1002", "data/sendmail.sock"}, "data/sendmail.sock", "data/maildrop"},
		{"the working directory's server", nil, "", []string{"data/sendmail.sock"}, "data/sendmail.sock", "data/maildrop"},
		{"the working directory's maildrop", nil, "", []string{"data/maildrop/" + strconv.Itoa(uid)}, "data/sendmail.sock", "data/maildrop"},
	} {
		t.Run(row.what, func(t *testing.T) {
			dir := t.TempDir()
			in := func(path string) string {
				if filepath.IsAbs(path) {
					return path
				}
				return filepath.Join(dir, path)
			}
			for _, d := range row.there {
				if err := os.MkdirAll(in(d), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if row.config != "" {
				if err := os.WriteFile(in("conf"), []byte(row.config), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			e := Env{
				Getenv: func(key string) string { return row.env[key] },
				Getuid: func() int { return uid },
				Places: Places{Config: in("conf"), Socket: in("run/s.sock"), Maildrop: in("spool"), Data: in("data")},
			}
			p, err := e.find()
			if err != nil || p.socket != in(row.socket) || p.maildrop != in(row.maildrop) {
				t.Errorf("found %+v, %v", p, err)
			}
			if strings.Contains(row.config, "origin") && p.origin != "o.example" {
				t.Errorf("origin %q", p.origin)
			}
		})
	}
}

func TestAMistakeInTheFileIsNamedWithItsLine(t *testing.T) {
	for _, text := range []string{"\nsocket\n", "\nsocket =\n", "\nscoket = /x\n"} {
		path := filepath.Join(t.TempDir(), "sendmail.conf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var stderr strings.Builder
		e := Env{Getenv: func(string) string { return "" }, Places: Places{Config: path}}
		status := Main(t.Context(), []string{"-i", "a@x.example"}, strings.NewReader(""), io.Discard, &stderr, e)
		if status != ExitConfig || !strings.Contains(stderr.String(), path+":2:") {
			t.Errorf("%q: status %d: %s", text, status, stderr.String())
		}
	}
}

func TestHooksGetTheOperandsAndGiveTheStatus(t *testing.T) {
	hook := func(name string) Hook {
		return func(_ context.Context, args []string, stdout, _ io.Writer) int {
			io.WriteString(stdout, name+strings.Join(args, ","))
			return 3
		}
	}
	e := Env{List: hook("list"), Verify: hook("verify"), Flush: hook("flush")}
	for _, row := range []struct{ args, want string }{
		{"-bp", "list"}, {"-bv a@x.example b@x.example", "verifya@x.example,b@x.example"}, {"-q", "flush"},
	} {
		var stdout strings.Builder
		status := Main(t.Context(), strings.Fields(row.args), strings.NewReader(""), &stdout, io.Discard, e)
		if status != 3 || stdout.String() != row.want {
			t.Errorf("%s: status %d, %q", row.args, status, stdout.String())
		}
	}
}
