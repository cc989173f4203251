// Package maildrop keeps messages that were handed in while no server ran, as
// files, until a server takes them.
//
// # Directories
//
// Below the maildrop, which belongs to the server and has mode 0711, each system
// user who may send has a directory named by the uid: owner the user, group the
// server's, mode 2770. [Box.Create] makes them. There is no directory that two
// users can write to, so nobody can rename a file of somebody else, and no
// program needs a setgid bit.
//
// # Files
//
// A writer makes a file under a name the reader ignores, syncs it, renames it,
// and syncs the directory; then the message is accepted. The name begins with
// the time, so that order of names is order of arrival. The file is text:
//
//	panelmail-maildrop 1
//	submission 5f0c2a…            made by the writer; a repeat has the same
//	from user@site.example        <> is the null reverse-path
//	to a@example.com              one line for each recipient
//	notify SUCCESS,FAILURE        and the other parameters of RFC 3461, if given
//	ret HDRS
//	envid QQ314159
//	size 1234
//
// then an empty line and as many octets of content as size says, in CRLF lines.
//
// # Trust
//
// The owner of the file is who sent it: the reader requires a regular file with
// one link, owned by the owner of its directory, whose uid is the directory's
// name. It never follows a link and never waits for a FIFO. All that the file
// says is the word of that user and is judged like what comes over the socket.
// What is no such file is renamed to corrupt-…, what the server will never take to
// refused-…. Such files stand in nobody's way; they are their owner's, and stay
// until somebody looks at them and removes them.
package maildrop
