'use strict'
// What Piscina's threads run.

const fs = require('node:fs')

/** CPU time of this thread, as of the system's last tick. */
function cpuMicroseconds() {
  return Number(fs.readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1000
}

/** Turns of a loop that take a microsecond of CPU time, measured over many ticks once the loop is compiled. */
function turnsOfOneMicrosecond() {
  const turns = 100_000
  const enough_us = 100_000
  for (let i = 0; i < 100; ++i) loop(turns)
  const start = cpuMicroseconds()
  for (let done = turns; ; done += turns) {
    loop(turns)
    const took = cpuMicroseconds() - start
    if (took > enough_us) return done / took
  }
}

function loop(turns) {
  let x = 1
  for (let i = 0; i < turns; ++i) x = (x * 16807) % 2147483647
  return x
}

let turns = 0

/** Node does not tell the CPU time of a thread, and the system only roughly: so the work is a loop of known length. */
function spin(us) {
  turns ||= turnsOfOneMicrosecond()
  return loop(Math.round(us * turns)) > 0
}

module.exports = { echo: (text) => text, spin }
