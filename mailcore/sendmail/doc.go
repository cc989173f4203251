// Package sendmail is the sendmail command: what PHP's mail(), cron, mutt and
// everything else run as /usr/sbin/sendmail. [Main] is the whole program; a
// panel that ships its own binary calls it.
//
// # What happens to a message
//
// The message is read from standard input to its end, with any line ends, and
// handed to the server over its Unix socket, which knows the caller by uid. If
// no server answers, or it answers with a 4xx, the message is written to the
// maildrop, where the server finds it later. Either way exit status 0 says that
// the message is on disk. The caller never waits for the network.
//
// # Finding the server
//
// The first of these that is there:
//
//  1. the socket named by PANELMAIL_SOCKET;
//  2. the socket named in /etc/panelmail/sendmail.conf;
//  3. /run/panelmail/sendmail.sock;
//  4. ./panelmail-data/sendmail.sock, if directory and socket belong to the caller
//     or to root, and nobody else can write to the directory.
//
// The maildrop is the one named by PANELMAIL_MAILDROP in the first case and by
// the file in the second; else the directory "maildrop" beside the socket, or
// /var/spool/panelmail for a socket below /run, where nothing outlives a power
// cut (see [Maildrop]).
//
// The file has lines "key = value"; empty lines and lines that begin with "#" do
// not count. The keys are socket, maildrop, and origin: the domain that is added
// to addresses without one (the host name, if it is not set).
//
// # Options
//
// As in Postfix and Sendmail. These do something:
//
//	-t         recipients are read from To, Cc and Bcc (or Resent-To and so on,
//	           if there is one) and added to those given as arguments
//	-f, -r     the reverse-path; <> or the empty string is the null one
//	-F         the full name for a From field, which is added if there is none
//	-i, -oi    a line with nothing but a dot does not end the message
//	-N, -R, -V NOTIFY, RET and ENVID of RFC 3461
//	-bs        SMTP on standard input and output
//	-bp        list the queue; -bv explain addresses; -q try deferred mail now:
//	           by the functions in [Env], else exit status 64
//	-bi, -I    nothing, successfully
//	-bd        refused
//
// All others are accepted and have no effect, so that no caller breaks. A value
// may be glued to its option or be the next word; options without values may be
// bundled; -- ends them.
//
// # Exit status
//
// As in sysexits(3): 0 the message is on disk, 64 the command line is wrong, 65
// the message is, 67 a recipient is, 69 the server refuses, 70 something failed
// inside, 74 reading or writing did, 75 neither server nor maildrop is there,
// try again, 77 the sender is not allowed to, 78 the configuration is wrong. If
// the server takes the message for some of the recipients only, the status is
// that of the others, which are named on standard error.
package sendmail
