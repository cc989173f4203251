package mailcore

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// Config is what a panel decides. The zero value of every field but Hostname
// is a good default.
type Config struct {
	// Hostname is the name of this mail system: in the greeting, in EHLO, in
	// Received, in the queue's bounces. Required: a domain name with a dot.
	Hostname string

	// Origin completes addresses without a domain: those of our own submitters,
	// and the targets of aliases at the host itself. If empty, Hostname.
	Origin string

	// Greeting is what the server says at the beginning of a connection, after
	// Hostname: printable ASCII, no more than 400 octets. If empty, "ESMTP".
	Greeting string

	// TLS is for the listeners; versions before 1.2 are never spoken. If nil, a
	// self-signed certificate is made at start, which is enough to try things out.
	// [Certificates] are read from files.
	TLS *tls.Config

	// RelayNetworks may send without authentication. If empty, nobody may:
	// loopback is no exception. Those that are a good part of the internet are
	// refused: an IPv4 network has 8 bits at least, a public IPv6 one 16.
	RelayNetworks []netip.Prefix

	// Postmaster gets the mail for postmaster, root, mailer-daemon and abuse at
	// Hostname that no alias takes, and for the postmaster of hosted domains
	// whose site has no contact. If empty, that mail is held in the queue for a
	// person to read.
	Postmaster string

	// SmartHost takes all mail that no route and no smart host of the sender
	// or its site sends elsewhere: "[smtp.provider.example]:587", with
	// SmartHostCredential to log in there. If empty, mail goes to the mail
	// exchangers of its domain.
	SmartHost           string
	SmartHostCredential transport.Credential

	// Tokens gets access tokens of OAuth 2.0 for the credentials that need them. If
	// nil, their mail waits.
	Tokens transport.Tokener

	// TLSLevel is the level of TLS that delivery keeps to where no policy says
	// otherwise: any but fingerprint. The MTA-STS policy of a domain counts beside
	// it. If empty, "may".
	TLSLevel transport.TLSLevel

	// Roots are the authorities that certificates of mail hosts and of MTA-STS policy
	// hosts must come from. If nil, those of the system.
	Roots *x509.CertPool

	// IgnoreMTASTS sends mail whatever the domain says of its hosts with MTA-STS
	// (RFC 8461). Otherwise its policy counts, kept for as long as it says, wherever no
	// TLS policy of ours says anything about the next hop. Resolver must know TXT
	// records: be a [transport.TextResolver].
	IgnoreMTASTS bool

	// Transports are the panel's own named transports, beside the built-in.
	Transports []transport.Definition

	// Network and Resolver are the world. If nil, the operating system's. The TLS
	// levels dane and dane-only need a Resolver that is a [transport.TLSAFinder].
	Network  transport.Network
	Resolver transport.Resolver

	// Port is where mail exchangers listen. If zero, 25.
	Port uint16

	// AllowPrivate lets mail go to loopback and private addresses that an MX
	// record, or the address literal of a recipient, names. A next hop written
	// by hand is always allowed.
	AllowPrivate bool

	// SocketDir is the directory of the Unix-domain sockets that routes and
	// mailboxes name by a relative path, as in "lmtp:unix:private/dovecot-lmtp". If
	// empty, mail for those waits.
	SocketDir string

	// MaildirRoot is the directory that all Maildirs are below: see
	// [transport.Maildir]. If empty, mail for those waits.
	MaildirRoot string

	// MessageSize is the largest content accepted, in octets.
	// If zero, 50 MiB.
	MessageSize int64

	// Recipients is the largest number of recipients of one message.
	// If zero, 1,000.
	Recipients int

	// Limits are for clients of the listeners.
	Limits Limits

	// HideClient leaves the address and the name of an authenticated client
	// out of the Received field.
	HideClient bool

	// ShowLogin puts the login of who authenticated over SMTP into the Received
	// field, as Postfix's smtpd_sasl_authenticated_header does; HideClient leaves
	// it there.
	ShowLogin bool

	// Concurrency is how many connections go to one destination at once.
	// If zero, 20.
	Concurrency int

	// InitialConcurrency is how many go at first, before anything is known of the
	// destination. If zero, 5, or Concurrency if that is less.
	InitialConcurrency int

	// Retry holds how long and how often a deferred message is tried.
	Retry Retry

	// ForbidPriority makes all mail equal, whatever its header or the code that
	// submits it says of its priority.
	ForbidPriority bool

	// Workers is how many deliveries run at once. If zero, 200.
	Workers int

	// MinFree is how many octets must stay free on the disk for a message to be
	// accepted; below, submitters get 452. If zero, 64 MiB; if negative, it is
	// not looked at.
	MinFree int64

	// Retention is how long the history of messages is kept: see
	// [queue.Queue.Events]. If zero, 30 days; if negative, for ever.
	Retention time.Duration

	// Poll is how often the server looks whether another process has changed
	// the database. If zero, one second; if negative, never: then messages of
	// other processes and of transactions wait for [Server.Wake].
	Poll time.Duration

	// CommitDelay is how long a commit waits for others to share it where many do. If
	// zero, 0.7 milliseconds; if negative, not at all.
	CommitDelay time.Duration

	// Grace is how long sessions may finish what they are in the middle of
	// when Run is told to stop. If zero, 5 seconds.
	Grace time.Duration

	// Maildrop is the directory where sendmail leaves messages while no server
	// runs, one directory for each uid below it. If empty, none is read.
	Maildrop string

	// Authenticator checks logins. If nil, the logins kept in Sites.
	Authenticator Authenticator

	// Realm is the domain of logins that are given without one: bob may log in
	// as bob@Realm, unless there is a login bob. If empty, names are taken as
	// they are. It is for the logins kept in Sites; an Authenticator has its own
	// ways.
	Realm string

	// FromPolicy says what submitters may write into the From field. If empty,
	// FromHosted.
	FromPolicy FromPolicy

	// Guard bounds how often passwords may be guessed.
	Guard Guard

	// Restrictions decide what is taken from clients.
	Restrictions Restrictions

	// Forwarding holds how mail is sent on to other hosts.
	Forwarding Forwarding

	// DNS is what DNS records say beside the settings.
	DNS DNS

	// Observe is told what happened to messages, after it was committed. It
	// must not block for long; it may call the server.
	Observe func([]queue.Event)

	// Log takes records with constant messages, among them
	//
	//   - delivery: an outcome for one recipient, with the attributes id, to, orig_to
	//     (what the recipient was given as, if that was another address), relay
	//     (host[address]:port), delay, dsn, status (sent, deferred, bounced,
	//     expired, held) and reply;
	//   - accepted: who handed a message in, with id, via, site, and client, helo,
	//     login and uid where there is one;
	//   - message: another event of a message, with id, event, from, site, size and
	//     nrcpt;
	//   - command refused: client, helo, command, argument, reply, proto, and from
	//     and to if they are known; connection refused: client and reply.
	//
	// Values are as others have said them: a handler must escape what it writes, as
	// those of log/slog do. If nil, slog.Default().
	Log *slog.Logger
}

// Retry is the schedule of deferred mail. The delay before the next attempt is
// the time since the recipient's first attempt, held between BackoffMin and
// BackoffMax.
type Retry struct {
	BackoffMin     time.Duration // if zero, 5 minutes; as long is a dead destination left alone
	BackoffMax     time.Duration // if zero, 4 hours
	Lifetime       time.Duration // until a message expires; if zero, 5 days
	BounceLifetime time.Duration // the same for bounces; if zero, 5 days
	DelayWarning   time.Duration // until its sender is told of a delay; if zero, 4 hours; negative: never

	// Schedules replace these bounds by the reason of a deferral: see
	// [queue.Options].
	Schedules map[queue.Deferral]transport.Schedule

	// HoldUncertain holds what may have been taken, because the connection was
	// lost after the message was sent, instead of sending it again.
	HoldUncertain bool
}

// Check reports every problem of the configuration at once, as [Open] does.
func (c Config) Check() error {
	_, err := c.withDefaults()
	return err
}

// normalize folds names, and returns all that is wrong.
func (c *Config) normalize() (problems []error) {
	complain := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf(format, args...))
	}
	host, err := address.Parse("postmaster@" + c.Hostname)
	switch {
	case c.Hostname == "":
		complain("Hostname is required")
	case err != nil:
		complain("Hostname %q: %w", c.Hostname, err)
	default:
		if c.Hostname, err = host.ASCIIDomain(); err != nil {
			complain("Hostname %q: %w", c.Hostname, err)
		}
	}
	problems = append(problems, c.checkAddresses()...)
	if err := checkGreeting(c.Greeting); err != nil {
		problems = append(problems, err)
	}
	setDefault(&c.TLSLevel, transport.TLSMay)
	if err := (transport.TLSPolicy{Level: c.TLSLevel}).Check(); err != nil {
		complain("TLSLevel: %w", err)
	}
	if c.SmartHost != "" {
		if err := (sites.SmartHost{Key: "default", Nexthop: c.SmartHost}).Check(); err != nil {
			complain("SmartHost: %w", err)
		}
	}
	if c.SmartHost == "" && c.SmartHostCredential != (transport.Credential{}) {
		complain("SmartHostCredential is set, but SmartHost is not")
	}
	problems = append(problems, c.checkDirectories()...)
	problems = append(problems, checkRelayNetworks(c.RelayNetworks)...)
	problems = append(problems, c.checkSubmitters()...)
	problems = append(problems, c.checkNumbers()...)
	if err := c.Limits.Check(); err != nil {
		problems = append(problems, err)
	}
	problems = append(problems, c.DNS.check()...)
	if err := c.Forwarding.normalize(); err != nil {
		problems = append(problems, err)
	}
	return append(problems, c.Restrictions.check(c.Resolver)...)
}

// withDefaults fills the zero fields. It reports every problem at once.
func (c Config) withDefaults() (Config, error) {
	if problems := c.normalize(); len(problems) > 0 {
		return c, fmt.Errorf("mailcore: configuration: %w", errors.Join(problems...))
	}
	setDefault(&c.Network, transport.Network(transport.System{}))
	setDefault(&c.Resolver, transport.Resolver(&transport.DNS{}))
	setDefault(&c.Port, 25)
	setDefault(&c.MessageSize, 50<<20)
	setDefault(&c.Recipients, 1000)
	c.RelayNetworks = unmapped(c.RelayNetworks)
	c.Limits.ExemptNetworks = unmapped(c.Limits.ExemptNetworks)
	if c.Limits.ExemptNetworks == nil {
		c.Limits.ExemptNetworks = c.RelayNetworks
	}
	setDefault(&c.FromPolicy, FromHosted)
	setDefault(&c.Grace, 5*time.Second)
	setDefault(&c.Log, slog.Default())
	setDefault(&c.Retry.DelayWarning, 4*time.Hour)
	c.Guard = c.Guard.withDefaults(c.Authenticator != nil)
	c.Forwarding = c.Forwarding.withDefaults()
	return c, nil
}

// checkAddresses checks Postmaster and Origin, which it folds.
func (c *Config) checkAddresses() (problems []error) {
	complain := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf(format, args...))
	}
	if c.Postmaster != "" {
		if _, err := address.Parse(c.Postmaster); err != nil {
			complain("Postmaster %q: %w", c.Postmaster, err)
		}
	}
	if c.Origin == "" {
		c.Origin = c.Hostname
		return problems
	}
	origin, err := address.ParseDomain(c.Origin)
	if err != nil {
		complain("Origin %q is no domain", c.Origin)
		return problems
	}
	c.Origin = origin
	return problems
}

// checkDirectories reports directories that would depend on where the server was
// started.
func (c *Config) checkDirectories() (problems []error) {
	for name, dir := range map[string]string{"SocketDir": c.SocketDir, "MaildirRoot": c.MaildirRoot} {
		if dir != "" && !filepath.IsAbs(dir) {
			problems = append(problems, fmt.Errorf("%s %q is no absolute path", name, dir))
		}
	}
	return problems
}

// checkNumbers reports what is wrong with numbers and durations.
func (c *Config) checkNumbers() (problems []error) {
	if c.MessageSize < 0 || c.Recipients < 0 || c.Concurrency < 0 || c.InitialConcurrency < 0 || c.Workers < 0 || c.Grace < 0 {
		problems = append(problems,
			errors.New("MessageSize, Recipients, Concurrency, InitialConcurrency, Workers and Grace cannot be negative"))
	}
	r := c.Retry
	if r.BackoffMin < 0 || r.BackoffMax < 0 || r.Lifetime < 0 || r.BounceLifetime < 0 {
		problems = append(problems, errors.New("the durations of Retry cannot be negative"))
	}
	if r.BackoffMax != 0 && r.BackoffMax < r.BackoffMin {
		problems = append(problems, fmt.Errorf("Retry.BackoffMax %v is below Retry.BackoffMin %v", r.BackoffMax, r.BackoffMin))
	}
	for _, d := range c.Transports {
		if err := d.Check(); err != nil {
			problems = append(problems, fmt.Errorf("a definition among Transports: %w", err))
		} else if transport.Builtin()[d.Base].Base != d.Base {
			problems = append(problems, fmt.Errorf("transport %q: base %q is unknown", d.Name, d.Base))
		}
	}
	return problems
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
