package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// give makes a file another user's.
func give(t *testing.T, name string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	if err := os.Lchown(name, 12345, -1); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsWrittenOrDialledInADirectoryOfOthers(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(t *testing.T, l *lab)
		want string
	}{
		{"everybody can write", func(t *testing.T, l *lab) { must(t, os.Chmod(l.data, 0o777)) }, "has mode 0777"},
		{"the group can write", func(t *testing.T, l *lab) { must(t, os.Chmod(l.data, 0o770)) }, "has mode 0770"},
		{"another user's", func(t *testing.T, l *lab) { give(t, l.data) }, "belongs to uid 12345"},
		{"a link", func(t *testing.T, l *lab) {
			link := filepath.Join(t.TempDir(), "link")
			must(t, os.Symlink(l.data, link))
			l.data = link
		}, "is a symbolic link"},
		{"a link with a slash", func(t *testing.T, l *lab) {
			link := filepath.Join(t.TempDir(), "link")
			must(t, os.Symlink(l.data, link))
			l.data = link + "/"
		}, "is a symbolic link"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			dialled := make(chan struct{}, 9)
			socket, err := listenUnix(filepath.Join(l.data, "control.sock"), 0o600)
			must(t, err)
			defer socket.Close()
			go func() {
				for {
					conn, err := socket.Accept()
					if err != nil {
						return
					}
					dialled <- struct{}{}
					conn.Close()
				}
			}()
			before := names(t, l.data)
			tt.make(t, l)
			for _, args := range []string{"serve", "login add me@demo.example --site demo"} {
				got := l.run("secret\n", strings.Fields(args)...)
				if got.Status != 1 || strings.Count(got.Stderr, "\n") != 1 || !strings.Contains(got.Stderr, tt.want) {
					t.Errorf("%s: %+v, want %q", args, got, tt.want)
				}
			}
			if diff := cmp.Diff(before, names(t, l.data)); diff != "" {
				t.Errorf("files (-before +after):\n%s", diff)
			}
			if len(dialled) > 0 {
				t.Error("somebody's socket was asked")
			}
		})
	}
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestADirectoryThatOthersMayReadIsGoodEnough(t *testing.T) {
	l := newLab(t)
	must(t, os.Chmod(l.data, 0o755))
	l.serve()
	l.do("", "queue", "list")
}

func TestADataDirectoryThatIsMissingIsMadePrivate(t *testing.T) {
	l := newLab(t)
	settings := filepath.Join(l.data, "panelmail.toml")
	l.data = filepath.Join(l.data, "a", "b")
	l.do("", "queue", "list", "--config", settings)
	info, err := os.Stat(l.data)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestTheCertificateIsWrittenThroughNoLink(t *testing.T) {
	for _, tt := range []struct{ link, content, want string }{
		{"self-signed.key", "precious", "self-signed.key: file exists"},
		{"self-signed.key", "", "self-signed.key: file exists"},
		{"self-signed.crt", "", "self-signed.crt: no such file"},
	} {
		l := newLab(t)
		victim := filepath.Join(t.TempDir(), "victim")
		if tt.content != "" {
			must(t, os.WriteFile(victim, []byte(tt.content), 0o600))
		}
		must(t, os.Symlink(victim, filepath.Join(l.data, tt.link)))
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second) // for a server that starts after all
		var problems strings.Builder
		status := run(ctx, []string{"panelmail", "--data", l.data, "serve"}, strings.NewReader(""), io.Discard, &problems)
		stop()
		if status != 1 || !strings.Contains(problems.String(), tt.want) {
			t.Errorf("%s: exit status %d, %s, want %q", tt.link, status, &problems, tt.want)
		}
		if text, _ := os.ReadFile(victim); string(text) != tt.content {
			t.Errorf("%s: the victim is %q", tt.link, text)
		}
	}
}

func TestAKeyLeftByAnInterruptedStartIsReplaced(t *testing.T) {
	l := newLab(t)
	must(t, os.WriteFile(filepath.Join(l.data, "self-signed.key"), []byte("half"), 0o644))
	l.serve().end()
	info, err := os.Lstat(filepath.Join(l.data, "self-signed.key"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
}
