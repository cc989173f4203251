package main

import (
	"crypto/tls"
	"fmt"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/panelmail/panelmail/mailcore"
)

// A reloading lab is a server whose certificate and configuration change.
type reloading struct {
	*lab
	served           *served
	crt, key         string
	reloads, refused int
}

const (
	wasReloaded = "the configuration and the certificates were reloaded"
	notReloaded = "not reloaded, the old configuration stays"
)

func newReloading(t *testing.T) *reloading {
	t.Helper()
	r := &reloading{lab: newLab(t)}
	r.crt, r.key = filepath.Join(r.data, "x.crt"), filepath.Join(r.data, "x.key")
	r.certify("first.example")
	r.settings()
	r.do("", "route", "set", "nowhere.example", "discard:")
	r.served = r.serve()
	return r
}

// settings writes the configuration, with more lines.
func (r *reloading) settings(more ...string) {
	r.t.Helper()
	r.configure(append([]string{
		`hostname = "mail.panel.example"`, `listen.smtp = "127.0.0.1:0"`, `listen.submission = ""`,
		`relay.networks = ["127.0.0.0/8"]`, `tls.certificate = "` + r.crt + `"`, `tls.key = "` + r.key + `"`,
	}, more...)...)
}

// certify writes a certificate for a host.
func (r *reloading) certify(host string) {
	r.t.Helper()
	crt, key, err := mailcore.SelfSigned(host)
	if err != nil {
		r.t.Fatal(err)
	}
	for name, text := range map[string][]byte{r.crt: crt, r.key: key} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *reloading) hangup() {
	r.t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
}

// reload has the server reload, which must succeed.
func (r *reloading) reload() {
	r.t.Helper()
	r.reloads++
	r.hangup()
	r.served.saysTimes(r.reloads, wasReloaded)
}

// refuse has the server reload, which must be refused with these words on a line.
func (r *reloading) refuse(want ...string) {
	r.t.Helper()
	r.refused++
	r.hangup()
	r.served.saysTimes(r.refused, notReloaded)
	said := r.served.said()
	line := said[strings.LastIndex(said, notReloaded):]
	for _, text := range want {
		if !strings.Contains(line, text) {
			r.t.Errorf("no %q in %q", text, line)
		}
	}
}

// connect begins a connection with STARTTLS; host is whom the certificate is for.
func (r *reloading) connect() (c *smtp.Client, host string, err error) {
	if c, err = smtp.Dial(r.served.listens("smtp")); err != nil {
		return nil, "", err
	}
	if err := c.StartTLS(&tls.Config{InsecureSkipVerify: true}); err != nil {
		return nil, "", err
	}
	state, _ := c.TLSConnectionState()
	return c, state.PeerCertificates[0].Subject.CommonName, nil
}

func sendOne(c *smtp.Client) error {
	if err := c.Mail("a@elsewhere.example"); err != nil {
		return err
	}
	if err := c.Rcpt("u@nowhere.example"); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte("Subject: x\r\n\r\nx\r\n")); err != nil {
		return err
	}
	return w.Close()
}

func TestTwentyReloadsUnderLoadDropNoConnection(t *testing.T) {
	r := newReloading(t)
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() { // one connection from before the first reload to after the last
			c, _, err := r.connect()
			for err == nil {
				if err = sendOne(c); err != nil {
					break
				}
				select {
				case <-stop:
					err = c.Quit()
					if err == nil {
						return
					}
				default:
				}
			}
			t.Errorf("a long connection: %v", err)
		})
		clients.Go(func() { // a new connection for each message
			for {
				c, _, err := r.connect()
				if err == nil {
					err = sendOne(c)
				}
				if err == nil {
					err = c.Quit()
				}
				if err != nil {
					t.Errorf("a short connection: %v", err)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for i := range 20 {
		want := fmt.Sprintf("host%d.example", i)
		r.certify(want)
		r.settings(fmt.Sprintf("limits.message_size = %d", 10_000+i))
		r.reload()
		c, host, err := r.connect()
		if err != nil {
			t.Fatal(err)
		}
		if host != want {
			t.Errorf("the certificate of a new connection is for %s, want %s", host, want)
		}
		if _, size := c.Extension("SIZE"); size != fmt.Sprint(10_000+i) {
			t.Errorf("the size limit of a new connection is %s, want %d", size, 10_000+i)
		}
		if err := c.Quit(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	clients.Wait()
}

func TestAReloadThatIsBrokenNamesTheLineAndChangesNothing(t *testing.T) {
	r := newReloading(t)
	early, _, err := r.connect()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(r.data, "panelmail.toml")
	for _, broken := range []struct {
		line string
		want []string
	}{
		{`limits.message_size = "big"`, []string{file + ":7", `is no size`}},
		{`limits.mesage_size = 1000`, []string{file + ":7", `unknown key`}},
		{`limits.message_size = = 1`, []string{file + ":7"}},
		{"limits.message_size = 1000\nrelay.hold_when_over_budget = 7", []string{file + ":8"}},
		{"limits.message_size = 1000\nqueue.workers = 7", []string{file + ":8: queue.workers: a change needs a restart"}},
		{"limits.message_size = 1000\nlisten.submissions = \"127.0.0.1:0\"", []string{file + ":8: listen.submissions: a change needs a restart"}},
	} {
		r.settings(broken.line)
		r.refuse(broken.want...)
	}
	r.settings("limits.message_size = 1000")
	if err := os.WriteFile(r.crt, []byte("half of a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.refuse(file+":5: tls.certificate: "+r.crt, "PEM")
	c, host, err := r.connect()
	if err != nil {
		t.Fatal(err)
	}
	if _, size := c.Extension("SIZE"); host != "first.example" || size != fmt.Sprint(50<<20) {
		t.Errorf("a new connection has the certificate of %s and the size limit %s", host, size)
	}
	for _, c := range []*smtp.Client{early, c} {
		if err := sendOne(c); err != nil {
			t.Error(err)
		}
		c.Close()
	}
	r.certify("second.example")
	r.reload()
	r.configure(`hostname = "mail.panel.example"`, `listen.smtp = "127.0.0.1:0"`, `listen.submission = ""`, "limits.message_size = 1000")
	r.reload()
	if _, host, err := r.connect(); err != nil || host != "mail.panel.example" {
		t.Errorf("without a certificate in the configuration: that of %s, %v", host, err)
	}
	if shown := r.do("", "config", "show", "--changed"); !strings.Contains(shown, "limits.message_size = \"1000\"") {
		t.Errorf("the file says\n%s", shown)
	}
}
