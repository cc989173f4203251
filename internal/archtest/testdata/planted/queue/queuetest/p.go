// Package queuetest uses its parent.
package queuetest

import _ "planted.test/queue"
