// A sign-in link carries its code behind "#", so that no server or log ever sees it in a URL.
const code = location.hash.slice(1);
if (code) {
  history.replaceState(null, "", location.pathname + location.search);
  const form = document.getElementById("sign-in");
  form.elements.code.value = code;
  form.elements.key.required = false;
  form.hidden = true;
  document.getElementById("signing-in").hidden = false;
  form.submit();
}
