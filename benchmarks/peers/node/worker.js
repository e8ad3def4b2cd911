'use strict'
// What Piscina's threads run.

/** Turns of a loop that take a microsecond, on a CPU of their own: the fastest of many tries. */
function turnsOfOneMicrosecond() {
  const turns = 200_000
  let best = Infinity
  for (let i = 0; i < 50; ++i) {
    const start = performance.now()
    loop(turns)
    best = Math.min(best, performance.now() - start)
  }
  return turns / (best * 1000)
}

function loop(turns) {
  let x = 1
  for (let i = 0; i < turns; ++i) x = (x * 16807) % 2147483647
  return x
}

let turns = 0

/** Node does not tell the CPU time of a thread, so the work is a loop of known length. */
function spin(us) {
  turns ||= turnsOfOneMicrosecond()
  return loop(Math.round(us * turns)) > 0
}

module.exports = { echo: (text) => text, spin }
