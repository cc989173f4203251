package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
	"github.com/panelmail/panelmail/transport/transporttest"
)

// maildirMail is mail to the Maildir at a path.
func maildirMail(path string, recipients ...string) *transport.Delivery {
	d := mail(recipients...)
	d.Plan = transport.Plan{
		Transport: "maildir", Definition: transport.Definition{Name: "maildir", Base: "maildir"}, Nexthop: path, TLS: transport.TLSNone,
	}
	return d
}

// contents is every file below root by its path, with the name of messages masked.
func contents(t *testing.T, root string) map[string]string {
	t.Helper()
	unique := regexp.MustCompile(`^\d+\.M\d+P\d+R[A-Z2-7]+\.us\.test`)
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		below, _ := filepath.Rel(root, filepath.Dir(path))
		name := below + "/" + unique.ReplaceAllString(e.Name(), "UNIQUE")
		for all[name] != "" {
			name += "'"
		}
		all[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEachRecipientGetsAFileInTheMaildir(t *testing.T) {
	root := t.TempDir()
	m := &transport.Maildir{Root: root, Hostname: "us.test"}
	d := maildirMail("shop.test/all", "a@shop.test", "b@shop.test")
	d.Envelope.ReversePath = "s@site.test"
	for i, o := range m.Deliver(t.Context(), d) {
		if got := short(o); got != "delivered 250 2.0.0 delivered to maildir" || !o.Mailbox {
			t.Errorf("recipient %d: %s", i, got)
		}
	}
	d = maildirMail(root+"/shop.test/null/", "c@shop.test")
	d.Envelope.ReversePath = ""
	m.Deliver(t.Context(), d)
	file := func(from, to string) string {
		return "Return-Path: <" + from + ">\nDelivered-To: " + to + "\nSubject: x\n\n.body\n"
	}
	want := map[string]string{
		"shop.test/all/new/UNIQUE,S=71":  file("s@site.test", "a@shop.test"),
		"shop.test/all/new/UNIQUE,S=71'": file("s@site.test", "b@shop.test"),
		"shop.test/null/new/UNIQUE,S=60": file("", "c@shop.test"),
	}
	got := contents(t, root)
	if a := "shop.test/all/new/UNIQUE,S=71"; strings.Contains(got[a], "To: b@") { // the random part orders them
		got[a], got[a+"'"] = got[a+"'"], got[a]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, dir := range []string{"shop.test/all", "shop.test/all/tmp", "shop.test/all/cur"} {
		if info, err := os.Stat(filepath.Join(root, dir)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v", dir, info, err)
		}
	}
}

func TestNothingOutsideTheDirectoryOfMaildirsIsTouched(t *testing.T) {
	top := t.TempDir()
	root, outside := filepath.Join(top, "root"), filepath.Join(top, "outside")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{outside, root + "/bob", root + "/half", root + "/fifo", root + "/tmplink"} {
		must(os.MkdirAll(dir, 0o700))
	}
	must(os.Symlink(outside, root+"/absolute"))
	must(os.Symlink("../outside", root+"/relative"))
	must(os.Symlink("bob", root+"/sister"))
	must(os.Symlink("../bob", root+"/half/new"))
	must(os.Symlink(outside, root+"/tmplink/tmp"))
	must(makeFIFO(root + "/fifo/tmp"))
	must(makeFIFO(root + "/pipe"))
	must(os.WriteFile(root+"/mbox", nil, 0o600))
	m := &transport.Maildir{Root: root, Hostname: "us.test"}
	const (
		config = "deferred 451 4.3.5 mailbox configuration problem: the path of a Maildir is not below the directory for them\nthe route names no Maildir, local"
		folder = "deferred 451 4.3.0 the mailbox cannot be delivered to: what should be a directory is none, local"
	)
	for path, want := range map[string]string{
		"../outside": config, "bob/../../outside": config, outside: config, "/": config, ".": config, root: config, "": config,
		"absolute": folder, "relative": folder, "sister": folder, "absolute/x": folder, "half": folder,
		"tmplink": folder, "fifo": folder, "pipe": folder, "mbox": folder, "mbox/x": folder, "bob/cur/../../pipe": folder,
		"nul\x00":                "deferred 451 4.3.0 the mailbox cannot be delivered to: invalid argument, local",
		strings.Repeat("x", 256): "deferred 451 4.3.0 the mailbox cannot be delivered to: file name too long, local",
	} {
		if got := short(m.Deliver(t.Context(), maildirMail(path, "a@x.test"))[0]); got != strings.ReplaceAll(want, "\n", " ") {
			t.Errorf("%.20s: %s\nwant %s", path, got, want)
		}
	}
	for name := range contents(t, top) {
		if name != "root/mbox" {
			t.Errorf("%s was made", name)
		}
	}
}

func TestWhatCannotBeDeliveredLeavesNothingInTheMaildir(t *testing.T) {
	torn := func(s string, err error) func(context.Context) (io.ReadCloser, error) {
		return func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(s), errReader{err})), nil
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	for name, tt := range map[string]struct {
		ctx  context.Context
		open func(context.Context) (io.ReadCloser, error)
		size int64
		want string
	}{
		"unreadable": {t.Context(), torn("Subject: x\r\n", errors.New("canary")), 20, "deferred 451 4.3.0 the stored message cannot be read, local"},
		"cut short":  {t.Context(), torn("Subject: x\r\n", io.EOF), 20, "deferred 451 4.3.0 the stored message cannot be read, local"},
		"too large":  {t.Context(), torn("Subject: x\r\n", io.EOF), 200, "failed 552 5.2.3 message of 200 octets is over the limit of 100 of the mailbox"},
		"stopped": {ctx, func(context.Context) (io.ReadCloser, error) {
			cancel()
			return io.NopCloser(strings.NewReader(message)), nil
		}, 20, "none 000 "},
	} {
		root := t.TempDir()
		m := &transport.Maildir{Root: root, Hostname: "us.test", SizeLimit: 100}
		d := maildirMail("bob", "a@x.test")
		d.Open, d.Size = tt.open, tt.size
		if got := short(m.Deliver(tt.ctx, d)[0]); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
		if left := contents(t, root); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestWithoutADirectoryForMaildirsMailWaits(t *testing.T) {
	m := &transport.Maildir{Hostname: "us.test"}
	want := "deferred 451 4.3.5 mailbox configuration problem: no directory is configured for Maildirs, local"
	if got := short(m.Deliver(t.Context(), maildirMail("bob", "a@x.test"))[0]); got != want {
		t.Error(got)
	}
}

func TestManyDeliverToAMaildirThatIsBeingMade(t *testing.T) {
	root := t.TempDir()
	m := &transport.Maildir{Root: root, Hostname: "us.test"}
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			if o := m.Deliver(t.Context(), maildirMail("new.test/bob", fmt.Sprint(i, "@x.test")))[0]; !o.Delivered() {
				t.Error(short(o))
			}
		})
	}
	all.Wait()
	if n := len(contents(t, root)); n != 40 {
		t.Errorf("%d messages", n)
	}
}

func TestMaildirKeepsTheContractOfATransport(t *testing.T) {
	m := &transport.Maildir{Root: t.TempDir(), Hostname: "us.test"}
	err := transporttest.Test(m, func(d *transport.Delivery) { d.Plan.Nexthop = "bob" })
	if err != nil {
		t.Error(err)
	}
}
