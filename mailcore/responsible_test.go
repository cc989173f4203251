package mailcore_test

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/maildrop"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
)

func TestSomebodyReadsWhatIsWrittenToThePostmaster(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{Postmaster: "admin@out.example"})
		v.must(
			v.srv.Sites().AddSite(t.Context(), sites.Site{Name: "away", Contact: "nobody@away.example"}),
			v.srv.Sites().AddDomain(t.Context(), sites.Domain{Name: "away.example", Site: "away", Class: sites.Hosted}),
			v.srv.Sites().AddSite(t.Context(), sites.Site{Name: "inner", Contact: "postmaster@inner.example"}),
			v.srv.Sites().AddDomain(t.Context(), sites.Domain{Name: "inner.example", Site: "inner", Class: sites.Hosted}),
		)
		v.mailboxes("bob@shop.example", "bob@other.example")
		v.aliases("info@shop.example: Postmaster@list.example, bob@shop.example", "hostmaster: root, bob@shop.example")
		for _, tt := range []struct{ what, to, want string }{
			{"the contact of the site", "Postmaster@shop.example", "out boss@out.example"},
			{"of an alias domain too", "postmaster@list.example", "out boss@out.example"},
			{"also by way of an alias", "info@shop.example", "out boss@out.example, store bob@shop.example"},
			{"a contact that is no address", "postmaster@other.example", "out admin@out.example"},
			{"a contact that nobody has", "postmaster@away.example", "out admin@out.example"},
			{"a contact that is the postmaster", "postmaster@inner.example", "out admin@out.example"},
			{"without a domain", "postmaster", "out admin@out.example"},
			{"of the host", "root@" + mailtest.Hostname, "out admin@out.example"},
			{"of the host, by an alias", "hostmaster@" + mailtest.Hostname, "out admin@out.example, store bob@shop.example"},
			{"of the host, unknown", "nobody@" + mailtest.Hostname, "550 5.1.1 <nobody@" + mailtest.Hostname + ">: Recipient address rejected: User unknown in local recipient table"},
			{"of a listed relay domain", "postmaster@listed.example", "550 5.1.1 <postmaster@listed.example>: Recipient address rejected: User unknown in relay recipient table"},
			{"with an extension", "postmaster+x@shop.example", "550 5.1.1 <postmaster+x@shop.example>: Recipient address rejected: User unknown in virtual mailbox table"},
		} {
			if got := v.outcome(tt.to); got != tt.want {
				t.Errorf("%s: %s: %s, want %s", tt.what, tt.to, got, tt.want)
			}
		}
		v.mailboxes("off postmaster@shop.example")
		if got, want := v.outcome("postmaster@shop.example"), "out boss@out.example"; got != want {
			t.Errorf("with a mailbox that is disabled: %s, want %s", got, want)
		}
		v.mailboxes("@shop.example")
		v.aliases("root: bob@shop.example")
		for to, want := range map[string]string{"x@shop.example": "store x@shop.example", "postmaster@list.example": "out boss@out.example", "root@" + mailtest.Hostname: "store bob@shop.example"} {
			if got := v.outcome(to); got != want {
				t.Errorf("with entries of their own: %s: %s, want %s", to, got, want)
			}
		}
	})
}

func TestWithoutAPostmasterMailForThatIsHeld(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{})
		for _, to := range []string{"postmaster@other.example", "postmaster", "root@" + mailtest.Hostname} {
			dialogue(t, lab, 25, "EHLO stranger.test", "MAIL FROM:<x@stranger.test>", "RCPT TO:<"+to+">", "DATA", "Subject: x\r\n\r\nx\r\n.")
		}
		lab.Wait(time.Hour)
		var got []string
		for e, err := range v.srv.Queue().Entries(t.Context(), queue.Match{All: true}) {
			v.must(err)
			got = append(got, e.Recipients[0].Address+" "+fmt.Sprint(e.Recipients[0].State))
		}
		host := "@" + mailtest.Hostname
		if diff := cmp.Diff([]string{"postmaster" + host + " hold", "postmaster" + host + " hold", "root" + host + " hold"}, got); diff != "" {
			t.Errorf("held (-want +got):\n%s", diff)
		}
	})
}

func TestRootOfASiteIsItsContact(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{Postmaster: "admin@out.example", Origin: "Origin.Example"})
		v.mailboxes("bob@shop.example")
		v.aliases("staff: root, postmaster, bob@shop.example")
		for _, tt := range []struct{ what, site, to, want string }{
			{"a site", "shop", "root@" + mailtest.Hostname, "out boss@out.example"},
			{"a site, without a domain", "shop", "root", "out boss@out.example"},
			{"a site's, at the origin", "shop", "Root@ORIGIN.example", "out boss@out.example"},
			{"a site without a contact that is an address", "other", "root", "out admin@out.example"},
			{"the panel", "", "root", "out admin@out.example"},
			{"a site, to the postmaster", "shop", "postmaster@" + mailtest.Hostname, "out admin@out.example"},
			{"by an alias, whose targets are completed", "shop", "staff", "out admin@out.example, out boss@out.example, store bob@shop.example"},
		} {
			m := hello("", tt.to)
			m.Site = tt.site
			if got := v.delivered(func() { submit(t, v.srv, m) }); strings.Join(got, ", ") != tt.want {
				t.Errorf("%s: %s: %v, want %s", tt.what, tt.to, got, tt.want)
			}
		}
	})
}

// jobUser is a user whose cron jobs are a site's: if we are root somebody else, for
// mail to root is another matter.
func jobUser(t *testing.T) (name string, uid int) {
	t.Helper()
	who, err := user.Current()
	if os.Getuid() == 0 {
		who, err = user.Lookup("daemon")
	}
	if err != nil {
		t.Skip(err)
	}
	if uid, err = strconv.Atoi(who.Uid); err != nil {
		t.Skip(err)
	}
	return who.Username, uid
}

func TestMailOfACronJobToItsUserReachesTheContact(t *testing.T) {
	name, uid := jobUser(t)
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		box := maildrop.Box{Dir: t.TempDir()}
		v := newVillage(t, lab, mailcore.Config{Maildrop: box.Dir})
		v.must(v.srv.Sites().ChangeSite(t.Context(), sites.Site{Name: "shop", Contact: "boss@out.example", UIDs: []int{uid}}))
		v.aliases("a: b", "b: a")
		v.must(box.Create(uid, os.Getgid()))
		got := v.delivered(func() {
			for i, to := range []string{"A@" + mailtest.Hostname, name + "@" + mailtest.Hostname} {
				content := "Subject: job\r\n\r\ndone\r\n"
				v.must(box.Write(uid, maildrop.Envelope{Submission: strconv.Itoa(i), To: []string{to}, Size: int64(len(content))}, strings.NewReader(content)))
			}
			files, err := filepath.Glob(filepath.Join(box.Dir, strconv.Itoa(uid), "*"))
			v.must(err)
			for _, file := range files {
				v.must(os.Chown(file, uid, os.Getgid()))
			}
			lab.Wait(time.Minute)
		})
		if diff := cmp.Diff([]string{"out boss@out.example"}, got); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
		// What runs in a circle does not wait in front of the next job's.
		if files, err := filepath.Glob(filepath.Join(box.Dir, strconv.Itoa(uid), "*")); err != nil || len(files) > 0 {
			t.Errorf("left in the maildrop: %v, %v", files, err)
		}
	})
}

func TestAnOriginMustBeADomain(t *testing.T) {
	for origin, want := range map[string]string{"": "", "panel": "", "Bücher.example": "", "a b": `Origin "a b"`, "[192.0.2.1]": `Origin "[192.0.2.1]"`} {
		err := mailcore.Config{Hostname: "mail.panel.example", Origin: origin}.Check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", origin, err, want)
		}
	}
}
