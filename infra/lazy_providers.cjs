// Preloaded into the Node process that runs the bindings. A provider's package has two entries: index.js loads all of
// its modules (1,470 for google), lazy-index.js each one when it is first used. jsii asks for the first.
const fs = require("fs");
const Module = require("module");

const resolveFilename = Module._resolveFilename;
Module._resolveFilename = function (...request) {
    const file = resolveFilename.apply(this, request);
    const lazy = file.replace(/(\/@cdkt[fn]\/provider-[^/]+\/lib\/)index\.js$/, "$1lazy-index.js");
    return lazy !== file && fs.existsSync(lazy) ? lazy : file;
};
