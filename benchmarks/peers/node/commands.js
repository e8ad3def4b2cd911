'use strict'
// Commands of the benchmark, a line each on stdin; the answer is a line of JSON. End of file ends the program.
//   one COUNT              one call at a time: seconds, p50_us, p99_us
//   many COUNT IN_FLIGHT   at most so many calls unanswered: seconds
//   spin COUNT US          calls that work so long, all at once: seconds

const readline = require('node:readline')

async function one(call, count) {
  const times = []
  const start = performance.now()
  for (let i = 0; i < count; ++i) {
    const begin = performance.now()
    await call()
    times.push((performance.now() - begin) * 1000)
  }
  const seconds = (performance.now() - start) / 1000
  times.sort((a, b) => a - b)
  const percentile = (share) => times[Math.min(times.length - 1, Math.floor(share * times.length))]
  return { seconds, p50_us: percentile(0.5), p99_us: percentile(0.99) }
}

/** So many loops share the calls: each has one of them unanswered. */
async function many(call, count, inFlight) {
  let left = count
  const loop = async () => {
    while (left-- > 0) await call()
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, loop))
  return { seconds: (performance.now() - start) / 1000 }
}

async function serve({ echo, spin }) {
  const commands = {
    one: (count) => one(echo, count),
    many: (count, inFlight) => many(echo, count, inFlight),
    spin: (count, us) => many(() => spin(us), count, count),
  }
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [name, ...numbers] = line.split(' ')
    let answer
    try {
      answer = await commands[name](...numbers.map(Number))
    } catch (error) {
      answer = { error: String(error) }
    }
    process.stdout.write(JSON.stringify(answer) + '\n')
  }
  process.exit()
}

module.exports = { serve }
