//go:build unix

package transport_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/panelmail/panelmail/transport"
)

func makeFIFO(path string) error { return syscall.Mkfifo(path, 0o600) }

func TestWhatRootDeliversBelongsToTheOwnerOfTheDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	root := t.TempDir()
	home := filepath.Join(root, "shop")
	if err := errors.Join(os.Mkdir(home, 0o700), os.Chown(home, 4711, 4712)); err != nil {
		t.Fatal(err)
	}
	m := &transport.Maildir{Root: root, Hostname: "us.test"}
	if o := m.Deliver(t.Context(), maildirMail("shop/mail/bob", "a@x.test"))[0]; !o.Delivered() {
		t.Fatal(short(o))
	}
	files, _ := filepath.Glob(home + "/mail/bob/new/*")
	for _, path := range append(files, home+"/mail", home+"/mail/bob", home+"/mail/bob/tmp", home+"/mail/bob/new", home+"/mail/bob/cur") {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if s := info.Sys().(*syscall.Stat_t); s.Uid != 4711 || s.Gid != 4712 {
			t.Errorf("%s is of %d:%d", path, s.Uid, s.Gid)
		}
	}
	if len(files) != 1 {
		t.Errorf("files %q", files)
	}
}
