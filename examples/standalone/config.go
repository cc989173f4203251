package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/transport"
)

// settings is the configuration file, with the defaults filled in. Keys that are
// marked so are read and checked, so that one file serves this version and the
// next, and have no effect.
type settings struct {
	Hostname   string `toml:"hostname"`
	Postmaster string `toml:"postmaster"`
	Origin     string `toml:"origin"`
	Aliases    string `toml:"aliases"` // the file that newaliases imports

	Listen struct {
		SMTP          addresses `toml:"smtp"`
		Submission    addresses `toml:"submission"`
		Submissions   addresses `toml:"submissions"`
		SMTPTLS       string    `toml:"smtp_tls"`       // none, may or encrypt
		ProxyNetworks []string  `toml:"proxy_networks"` // of all three
		Greeting      string    `toml:"greeting"`
		Sendmail      string    `toml:"sendmail"`
		Maildrop      string    `toml:"maildrop"`
		Admin         string    `toml:"admin"` // not built yet
	} `toml:"listen"`

	Relay struct {
		Networks           []string `toml:"networks"`
		HoldWhenOverBudget bool     `toml:"hold_when_over_budget"` // not built yet
	} `toml:"relay"`

	Restrictions restrictionSettings `toml:"restrictions"`

	Delivery struct {
		Resolver     string `toml:"resolver"`
		AllowPrivate bool   `toml:"allow_private"`
		Port         uint16 `toml:"port"`
		SmartHost    string `toml:"smart_host"`
		SocketDir    string `toml:"socket_dir"`   // of lmtp:unix:PATH with a relative path
		MaildirRoot  string `toml:"maildir_root"` // of maildir:PATH; a relative one is in the data directory
		TLS          string `toml:"tls"`
		TrustAD      bool   `toml:"dnssec_resolver_trusted"` // one on loopback is anyway
		MTASTS       bool   `toml:"mta_sts"`
	} `toml:"delivery"`

	TLS struct {
		Certificate string   `toml:"certificate"`
		Key         string   `toml:"key"`
		ChainFiles  []string `toml:"chain_files"` // more certificates, each with its key, for their names
	} `toml:"tls"`

	Log struct {
		File   string `toml:"file"`
		Format string `toml:"format"`
	} `toml:"log"`

	Queue struct {
		Lifetime       duration `toml:"lifetime"`
		BounceLifetime duration `toml:"bounce_lifetime"`
		BackoffMin     duration `toml:"backoff_min"`
		BackoffMax     duration `toml:"backoff_max"`
		DelayWarning   duration `toml:"delay_warning"`
		Workers        int      `toml:"workers"`
		MinFree        size     `toml:"min_free"`
	} `toml:"queue"`

	Limits struct {
		MessageSize            size `toml:"message_size"`
		DestinationConcurrency int  `toml:"destination_concurrency"`
		InitialConcurrency     int  `toml:"initial_concurrency"`
		ClientLimits
	} `toml:"limits"`

	Auth authSettings `toml:"auth"`

	Forwarding forwardingSettings `toml:"forwarding"`

	DNS dnsSettings `toml:"dns"`
}

// defaults are the settings of a server without a configuration file.
func defaults() settings {
	var s settings
	s.Hostname = "localhost.localdomain"
	if name, err := os.Hostname(); err == nil && strings.Contains(name, ".") {
		s.Hostname = name
	}
	s.Aliases = "/etc/aliases"
	s.Listen.SMTP, s.Listen.Submission = addresses{"127.0.0.1:2525"}, addresses{"127.0.0.1:2587"}
	s.Listen.SMTPTLS, s.Listen.ProxyNetworks = "may", []string{}
	s.TLS.ChainFiles = []string{}
	s.Listen.Sendmail = "sendmail.sock"
	s.Relay.HoldWhenOverBudget = true
	s.Relay.Networks = []string{} // shown as such
	s.Delivery.Port, s.Delivery.TLS, s.Delivery.MTASTS = 25, "may", true
	s.Delivery.MaildirRoot = "maildir"
	s.Log.Format = "text"
	s.Queue.Lifetime, s.Queue.BounceLifetime = duration(5*24*time.Hour), duration(5*24*time.Hour)
	s.Queue.BackoffMin, s.Queue.BackoffMax = duration(5*time.Minute), duration(4*time.Hour)
	s.Queue.DelayWarning, s.Queue.Workers, s.Queue.MinFree = duration(4*time.Hour), 200, 64<<20
	s.Limits.MessageSize, s.Limits.DestinationConcurrency, s.Limits.InitialConcurrency = 50<<20, 20, 5
	s.Limits.ClientLimits = defaultClientLimits()
	s.Auth, s.Forwarding, s.DNS = defaultAuth(), defaultForwarding(), defaultDNS()
	return s
}

// load reads the configuration file of the application. Only a file that was
// not named may be missing.
func (a *app) load() error {
	a.settings = defaults()
	if info, err := os.Lstat(a.data); a.config == "" && err == nil && info.IsDir() {
		if err := a.ownData(); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(a.configFile())
	// A data directory that is no directory is for its first use to tell.
	if a.config == "" && (errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	a.text = string(text)
	meta, err := toml.Decode(a.text, &a.settings)
	var syntax toml.ParseError
	if errors.As(err, &syntax) {
		return &fault{File: a.configFile(), Line: syntax.Position.Line, Key: syntax.LastKey, Problem: syntax.Message}
	}
	if err != nil {
		return a.mistyped(err.Error())
	}
	var unknown []error
	tables := map[string]bool{}
	for _, key := range meta.Undecoded() {
		if tables[key[:len(key)-1].String()] {
			continue // the table is unknown, and said so
		}
		tables[key.String()] = true
		unknown = append(unknown, &fault{File: a.configFile(), Line: lineOf(a.text, key.String()), Problem: fmt.Sprintf("unknown key %q", key)})
	}
	return errors.Join(unknown...)
}

// mistyped is what the decoder says about a value of another type, which has the
// line and the key in its words only.
func (a *app) mistyped(text string) error {
	f := &fault{File: a.configFile(), Problem: strings.TrimPrefix(text, "toml: ")}
	if _, err := fmt.Sscanf(f.Problem, "line %d (last key %q):", &f.Line, &f.Key); err == nil {
		_, f.Problem, _ = strings.Cut(f.Problem, "): ")
	}
	return f
}

func (a *app) configFile() string {
	if a.config != "" {
		return a.config
	}
	return filepath.Join(a.data, "panelmail.toml")
}

// lineOf finds the line of a key, or of the table it is in; 0 if neither is in
// text.
func lineOf(text, key string) int {
	table := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			table = strings.Trim(strings.TrimSpace(strings.SplitN(line, "#", 2)[0]), "[] ") + "."
			if table == key+"." {
				return i + 1
			}
			continue
		}
		name, _, found := strings.Cut(line, "=")
		if found && table+strings.Trim(strings.TrimSpace(name), `"'`) == key {
			return i + 1
		}
	}
	return 0
}

// library is the settings as the library takes them. The error names every
// problem, each with its key and its line.
func (a *app) library() (mailcore.Config, error) {
	config, problems := a.settings.library()
	if a.settings.Delivery.MaildirRoot != "" {
		root, err := filepath.Abs(a.inData(a.settings.Delivery.MaildirRoot))
		if err != nil {
			problems = append(problems, problem{"delivery.maildir_root", err})
		}
		config.MaildirRoot = root
	}
	restrictions, wrong := a.restrictions()
	config.Restrictions, problems = restrictions, append(problems, wrong...)
	var all []error
	for _, p := range problems {
		all = append(all, a.fault(p.key, p.err))
	}
	return config, errors.Join(all...)
}

// library is the settings as the library takes them, and what is wrong with
// them.
func (s settings) library() (mailcore.Config, []problem) {
	c := mailcore.Config{
		Hostname:     s.Hostname,
		Greeting:     s.Listen.Greeting,
		Postmaster:   s.Postmaster,
		Origin:       s.Origin,
		SmartHost:    s.Delivery.SmartHost,
		SocketDir:    s.Delivery.SocketDir,
		TLSLevel:     transport.TLSLevel(s.Delivery.TLS),
		Port:         s.Delivery.Port,
		AllowPrivate: s.Delivery.AllowPrivate,
		MessageSize:  int64(s.Limits.MessageSize),
		Limits:       s.Limits.library(),
		Concurrency:  s.Limits.DestinationConcurrency,
		Workers:      s.Queue.Workers,
		MinFree:      int64(s.Queue.MinFree),
		Retry: mailcore.Retry{
			BackoffMin:     time.Duration(s.Queue.BackoffMin),
			BackoffMax:     time.Duration(s.Queue.BackoffMax),
			Lifetime:       time.Duration(s.Queue.Lifetime),
			BounceLifetime: time.Duration(s.Queue.BounceLifetime),
			DelayWarning:   time.Duration(s.Queue.DelayWarning),
		},
		InitialConcurrency: s.Limits.InitialConcurrency,
		Forwarding:         s.Forwarding.library(),
		DNS:                s.DNS.library(),
	}
	if c.Retry.DelayWarning == 0 {
		c.Retry.DelayWarning = -1
	}
	if c.MinFree == 0 {
		c.MinFree = -1
	}
	s.Auth.apply(&c)
	problems := s.check()
	for _, text := range s.Relay.Networks {
		network, err := parseNetwork(text)
		if err != nil {
			problems = append(problems, problem{"relay.networks", err})
			continue
		}
		if err := checked(mailcore.Config{Hostname: "host.example", RelayNetworks: []netip.Prefix{network}}); err != nil {
			problems = append(problems, problem{"relay.networks", err})
		}
		c.RelayNetworks = append(c.RelayNetworks, network)
	}
	c.IgnoreMTASTS = !s.Delivery.MTASTS
	c.Resolver = s.resolver()
	return c, problems
}

// resolver asks the DNS.
func (s settings) resolver() *transport.DNS {
	return &transport.DNS{Server: s.Delivery.Resolver, TrustAD: s.Delivery.TrustAD}
}

// parseNetwork reads an address or a network in Postfix's mynetworks syntax:
// 192.0.2.1, 192.0.2.0/24, [2001:db8::1], [2001:db8::]/32.
func parseNetwork(text string) (netip.Prefix, error) {
	plain := strings.NewReplacer("[", "", "]", "").Replace(text)
	if addr, err := netip.ParseAddr(plain); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	network, err := netip.ParsePrefix(plain)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a network", text)
	}
	if network.Masked() != network {
		return netip.Prefix{}, fmt.Errorf("%q has bits beyond its mask: want %v", text, network.Masked())
	}
	return network, nil
}

// duration is a time.Duration that also knows days: "5d", "4h30m".
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	s := string(text)
	var days time.Duration
	if before, after, found := strings.Cut(s, "d"); found {
		n, err := strconv.ParseUint(before, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is no duration: want 5d, 4h, 30m or 10s", s)
		}
		days, s = time.Duration(n)*24*time.Hour, after
	}
	var rest time.Duration
	if s != "" {
		var err error
		if rest, err = time.ParseDuration(s); err != nil || rest < 0 {
			return fmt.Errorf("%q is no duration: want 5d, 4h, 30m or 10s", text)
		}
	}
	*d = duration(days + rest)
	return nil
}

// String is the duration as it is written in the file.
func (d duration) String() string {
	text, _ := d.MarshalText() // never fails
	return string(text)
}

// MarshalText implements encoding.TextMarshaler.
func (d duration) MarshalText() ([]byte, error) {
	v := time.Duration(d)
	if v != 0 && v%(24*time.Hour) == 0 {
		return fmt.Appendf(nil, "%dd", v/(24*time.Hour)), nil
	}
	text := v.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return []byte(text), nil
}

// size is a number of octets: "50MiB", "64KiB", "1GiB" or a bare number.
type size int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (z *size) UnmarshalText(text []byte) error {
	s, unit := string(text), int64(1)
	for suffix, octets := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if before, found := strings.CutSuffix(s, suffix); found {
			s, unit = strings.TrimSpace(before), octets
		}
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is no size: want a number of octets, KiB, MiB or GiB", text)
	}
	*z = size(n * unit)
	return nil
}

// String is the size as it is written in the file.
func (z size) String() string {
	text, _ := z.MarshalText() // never fails
	return string(text)
}

// MarshalText implements encoding.TextMarshaler.
func (z size) MarshalText() ([]byte, error) {
	n, unit := int64(z), ""
	for _, u := range []string{"KiB", "MiB", "GiB"} {
		if n != 0 && n%1024 == 0 {
			n, unit = n/1024, u
		}
	}
	return fmt.Appendf(nil, "%d%s", n, unit), nil
}
