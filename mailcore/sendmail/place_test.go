package sendmail

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestTheServerIsFoundInOrder(t *testing.T) {
	uid := os.Getuid()
	drops := strconv.Itoa(uid)
	for _, row := range []struct {
		what     string
		env      map[string]string
		config   string
		there    []string // made below the test's own directory
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
		{"the system's maildrop while its server is down", nil, "", []string{"spool/" + drops, "data/sendmail.sock"}, "run/s.sock", "spool"},
		{"a maildrop of others is none", nil, "", []string{"spool/" + drops + "9", "data/sendmail.sock"}, "data/sendmail.sock", "data/maildrop"},
		{"the working directory's server", nil, "", []string{"data/sendmail.sock"}, "data/sendmail.sock", "data/maildrop"},
		{"the working directory's maildrop", nil, "", []string{"data/maildrop/" + drops}, "data/sendmail.sock", "data/maildrop"},
	} {
		t.Run(row.what, func(t *testing.T) {
			dir := shortDir(t)
			in := func(path string) string {
				if filepath.IsAbs(path) {
					return path
				}
				return filepath.Join(dir, path)
			}
			for _, name := range row.there {
				put(t, in(name))
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

// shortDir is a directory for sockets, whose names must be short.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// put makes a socket that nobody answers, or a directory, and those above it.
func put(t *testing.T, path string) {
	t.Helper()
	if filepath.Ext(path) != ".sock" {
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		return
	}
	put(t, filepath.Dir(path))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestWhatOthersCanPutIntoTheWorkingDirectoryIsNotTrusted(t *testing.T) {
	give := func(t *testing.T, name string) {
		t.Helper()
		if os.Getuid() != 0 {
			t.Skip("only root can give files away")
		}
		if err := os.Lchown(name, 12345, -1); err != nil {
			t.Fatal(err)
		}
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const stranger = 54321 // who has nothing there
	for _, row := range []struct {
		what string
		uid  int
		make func(t *testing.T, data, socket string)
		want bool
	}{
		{"one's own", os.Getuid(), func(t *testing.T, _, socket string) { put(t, socket) }, true},
		{"another user's directory", os.Getuid(), func(t *testing.T, data, socket string) {
			put(t, socket)
			give(t, data)
		}, false},
		{"another user's socket", os.Getuid(), func(t *testing.T, _, socket string) {
			put(t, socket)
			give(t, socket)
		}, false},
		{"another user's directory with a maildrop", os.Getuid(), func(t *testing.T, data, _ string) {
			put(t, filepath.Join(data, "maildrop", strconv.Itoa(os.Getuid())))
			give(t, data)
		}, false},
		{"root's", stranger, func(t *testing.T, _, socket string) {
			if os.Getuid() != 0 {
				t.Skip("only root has what is root's")
			}
			put(t, socket)
		}, true},
		{"everybody can write", os.Getuid(), func(t *testing.T, data, socket string) {
			put(t, socket)
			must(t, os.Chmod(data, 0o777|os.ModeSticky))
		}, false},
		{"a link to a directory", os.Getuid(), func(t *testing.T, data, _ string) {
			put(t, data+"2/sendmail.sock")
			must(t, os.Symlink(data+"2", data))
		}, false},
		{"a link to a socket", os.Getuid(), func(t *testing.T, data, socket string) {
			put(t, data)
			put(t, data+"2/sendmail.sock")
			must(t, os.Symlink(data+"2/sendmail.sock", socket))
		}, false},
		{"a file in the place of the socket", os.Getuid(), func(t *testing.T, data, socket string) {
			put(t, data)
			must(t, os.WriteFile(socket, nil, 0o600))
		}, false},
	} {
		t.Run(row.what, func(t *testing.T) {
			dir := shortDir(t)
			data := filepath.Join(dir, "data")
			socket := filepath.Join(data, "sendmail.sock")
			row.make(t, data, socket)
			for _, data := range []string{data, data + "/"} {
				e := Env{
					Getenv: func(string) string { return "" },
					Getuid: func() int { return row.uid },
					Places: Places{Config: filepath.Join(dir, "none"), Socket: filepath.Join(dir, "none.sock"), Maildrop: filepath.Join(dir, "spool"), Data: data},
				}
				p, err := e.find()
				if err != nil || (p.socket == socket) != row.want {
					t.Errorf("%s: found %+v, %v", data, p, err)
				}
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
