// Package planted breaks every rule of the shape at least once.
package planted

import _ "planted.test/srs" // the root package only documents
