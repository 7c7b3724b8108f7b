package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// databaseFile is the file in Config.DataDir.
const databaseFile = "api.db"

// lockPatience is how long another process may still have the file.
const lockPatience = 3 * time.Second

// The tables of the database, each from a name to JSON.
var (
	tableRows          = []byte("rows")          // id: keptRow
	tableJobs          = []byte("jobs")          // id: keptJob
	tableTotals        = []byte("totals")        // organization: totals
	tableOrganizations = []byte("organizations") // organization: keptOrganization
	tableState         = []byte("state")         // one row, stateKey: keptState
)

var stateKey = []byte("state")

// database is what outlives the process.
type database struct {
	bolt   *bbolt.DB
	failed chan error // has the reason when nothing can be written any more
}

// openDatabase opens the database in dir, and makes both if they are not there.
func openDatabase(dir string) (*database, error) {
	file := filepath.Join(dir, databaseFile)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data_dir: %w", err)
	}
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{
		Timeout: lockPatience,
		// It is the process that dies, not the machine: what was handed to the kernel is kept, in the order
		// in which it was handed over, so there is nothing to wait for.
		NoSync: true, NoGrowSync: true,
		NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoStatistics: true,
		InitialMmapSize: 16 << 20, // growing stops the world
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("open database %s: another process uses it", file)
	case err != nil:
		return nil, fmt.Errorf("open database %s: %w", file, err)
	}
	d := &database{bolt: db, failed: make(chan error, 1)}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, table := range [][]byte{tableRows, tableJobs, tableTotals, tableOrganizations, tableState} {
			if _, err := tx.CreateBucketIfNotExists(table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare database %s: %w", file, err), db.Close())
	}
	return d, nil
}

// write performs fn as one transaction. A process that cannot write must not go on: what it says next
// might not be so after a restart. It gets the reason from failed, and the caller's goroutine ends here,
// without another word to anybody.
func (d *database) write(fn func(tx *bbolt.Tx) error) {
	err := d.bolt.Update(fn)
	if err == nil {
		return
	}
	select {
	case d.failed <- fmt.Errorf("write database %s: %w", d.bolt.Path(), err):
	default: // the first one says it all
	}
	runtime.Goexit()
}

// put stores v under key.
func put(tx *bbolt.Tx, table []byte, key string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.Bucket(table).Put([]byte(key), text)
}

func remove(tx *bbolt.Tx, table []byte, key string) error {
	return tx.Bucket(table).Delete([]byte(key))
}

// each calls fn with every key of a table and what is stored there.
func each[V any](d *database, table []byte, fn func(key string, v V)) error {
	err := d.bolt.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(table).ForEach(func(key, text []byte) error {
			var v V
			if err := json.Unmarshal(text, &v); err != nil {
				return fmt.Errorf("%s of %s: %w", key, table, err)
			}
			fn(string(key), v)
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("read database %s: %w", d.bolt.Path(), err)
	}
	return nil
}
