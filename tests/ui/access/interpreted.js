// Where a page took hostile text for something else than text. Each of its words, such as zqbold, is in
// it once, so that an element which holds the word alone was made from it.
() => {
  const found = [];
  const words = ['zqbold', 'zqem', 'zqhtml', 'zqlink', 'zqred', 'zqcode', 'zqheading', 'zqitem', 'zqstruck', 'zqbadge'];
  for (const element of document.querySelectorAll('body *')) {
    const text = element.textContent.trim();
    // Code is coloured word by word.
    if (words.includes(text) && !element.closest('pre code')) {
      found.push(`${element.tagName} of ${text} in ${element.parentElement.innerText.slice(0, 60)}`);
    }
  }
  const made = {
    'image': 'img[src^="http://evil.example"]',
    'link': 'a[href^="http://evil.example"], a[href^="javascript:"]',
    'formula': '.katex',
    'icon': '[data-testid=stIconMaterial]',
    'exception': '[data-testid=stException]',
    'script': 'script[src*="evil.example"], iframe, object, embed',
  };
  for (const [name, selector] of Object.entries(made)) {
    for (const element of document.querySelectorAll(selector)) {
      if (name !== 'icon' || element.textContent.includes('skull')) {
        found.push(`${name}: ${element.outerHTML.slice(0, 160)}`);
      }
    }
  }
  if (document.body.innerText.includes('💀') || document.body.innerText.includes('\u{1F525}')) {
    found.push('emoji');
  }
  if (window.hacked) {
    found.push('script ran');
  }
  return found;
}
